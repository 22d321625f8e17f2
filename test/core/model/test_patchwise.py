# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hyperseg_core import InputError
from hyperseg_core.model.patchwise import merge_patches
from hyperseg_core.model.patchwise import patchwise_conv2d
from hyperseg_core.model.patchwise import positional_encoding
from hyperseg_core.model.patchwise import split_patches


def _naive(features: Tensor, weight_map: Tensor, kernel_size: int, *, depthwise: bool) -> Tensor:
    batch, channels, height, width = features.shape
    rows, cols = weight_map.shape[-2:]
    u, v, pad = height // rows, width // cols, kernel_size // 2
    padded = functional.pad(features, (pad,) * 4, mode='reflect')
    strips = []
    for b in range(batch):
        lines = []
        for r in range(rows):
            line = []
            for q in range(cols):
                patch = padded[b, :, r * u : (r + 1) * u + 2 * pad, q * v : (q + 1) * v + 2 * pad]
                kernel = weight_map[b, :, r, q].reshape(
                    -1, 1 if depthwise else channels, kernel_size, kernel_size
                )
                groups = channels if depthwise else 1
                line.append(functional.conv2d(patch[None], kernel, groups=groups)[0])
            lines.append(torch.cat(line, -1))
        strips.append(torch.cat(lines, -2))
    return torch.stack(strips)


@pytest.mark.parametrize(('rows', 'cols'), [(1, 1), (2, 3), (4, 2)])
@pytest.mark.parametrize(('kernel_size', 'depthwise'), [(1, False), (3, False), (3, True)])
def test_patchwise_conv2d_matches_per_patch_loop(
    rows: int, cols: int, kernel_size: int, depthwise: bool
) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, rows * 4, cols * 6)
    fan_in = kernel_size**2 * (1 if depthwise else 5)
    weight_map = torch.randn(2, fan_in * (5 if depthwise else 7), rows, cols)
    torch.testing.assert_close(
        patchwise_conv2d(features, weight_map, kernel_size=kernel_size, depthwise=depthwise),
        _naive(features, weight_map, kernel_size, depthwise=depthwise),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(('kernel_size', 'depthwise'), [(1, False), (3, False), (3, True)])
def test_patchwise_conv2d_gradients_are_right(kernel_size: int, depthwise: bool) -> None:
    torch.manual_seed(0)
    fan_in = kernel_size**2 * (1 if depthwise else 2)
    features = torch.randn(2, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    weight_map = torch.randn(2, fan_in * 2, 2, 3, dtype=torch.float64, requires_grad=True)

    def convolve(x: Tensor, w: Tensor) -> Tensor:
        return patchwise_conv2d(x, w, kernel_size=kernel_size, depthwise=depthwise)

    assert torch.autograd.gradcheck(convolve, (features, weight_map))


def test_merge_patches_undoes_split_patches() -> None:
    features = torch.randn(2, 3, 8, 12)
    assert torch.equal(merge_patches(split_patches(features, (2, 3))), features)


def test_split_patches_takes_halo_from_neighbours_and_reflects_at_the_edge() -> None:
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    patch = split_patches(features, (2, 2), halo=1)[0, 0, 0, 0]
    assert patch.tolist() == [[5, 4, 5, 6], [1, 0, 1, 2], [5, 4, 5, 6], [9, 8, 9, 10]]


def test_positional_encoding_is_x_then_y_from_minus_one_to_one() -> None:
    x, y = positional_encoding(3, 5, device=torch.device('cpu'), dtype=torch.float32)[0]
    assert x[0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert y[:, 0].tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ('shape', 'weights', 'match'),
    [
        ((1, 3, 10, 12), (1, 9, 4, 4), r'10 x 12 px.*multiple of the patch grid 4 x 4'),
        ((1, 3, 8, 8), (1, 10, 4, 4), r'10 weights per patch.*3 channels'),
    ],
)
def test_patchwise_conv2d_rejects_what_does_not_fit(
    shape: tuple[int, ...], weights: tuple[int, ...], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        patchwise_conv2d(torch.zeros(shape), torch.zeros(weights))
