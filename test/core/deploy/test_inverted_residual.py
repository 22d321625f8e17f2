# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each way of writing the inverted residual gives every patch its own weights."""

import dataclasses

from graph_runner import run_values
import numpy as np
import pytest
import torch
from torch.nn import functional

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.inverted_residual import InvertedResidualWriter
from hyperseg_core.deploy.inverted_residual import convolve
from hyperseg_core.deploy.inverted_residual import convolve_shifted
from hyperseg_core.deploy.inverted_residual import joined
from hyperseg_core.deploy.inverted_residual import share_patches
from hyperseg_core.deploy.inverted_residual import side_by_side
from hyperseg_core.deploy.patches import patch_places
from hyperseg_core.model.levels import Level
from hyperseg_core.model.patchwise import convolve_patches

LEVEL = Level(kind='inverted_residual', in_channels=3, out_channels=4, hidden=5)
GRID = (2, 3)


def test_shifted_products_give_each_patch_its_own_kernel() -> None:
    patches, kernels = torch.randn(6, 5, 4, 7), torch.randn(6, 5 * 9)
    graph = GraphBuilder('float32')
    rows = graph.input('rows', (6, 4 * 7, 5), 'float32')
    weights = graph.input('weights', (6, 45), 'float32')
    out = convolve_shifted(graph, rows, weights, (2, 5))
    inputs = patches.permute(0, 2, 3, 1).reshape(6, 28, 5).contiguous().numpy()
    (found,) = run_values(graph, [out], inputs, kernels.numpy())
    expected = convolve_patches(
        patches.view(1, 2, 3, 5, 4, 7), kernels.view(1, 2, 3, 45), kernel_size=3, depthwise=True
    )
    rows_PKC = expected.view(6, 5, 10).transpose(1, 2)  # noqa: N806
    np.testing.assert_allclose(found, rows_PKC.numpy(), atol=1e-5)


@pytest.mark.parametrize('side', [1, 3])
def test_patches_side_by_side_are_convolved_each_with_its_own_kernel(side: int) -> None:
    patches, kernels = torch.randn(6, 5, 4, 7), torch.randn(6, 5 if side == 3 else 20, side, side)
    out_channels = 5 if side == 3 else 4
    bias = np.random.default_rng(0).standard_normal(out_channels)
    graph = GraphBuilder('float32')
    x = graph.input('x', (1, 30, 4, 7), 'float32')
    weights = graph.input('weights', (6, kernels[0].numel()), 'float32')
    out = convolve(graph, x, weights, out_channels, bias, side=side)
    (found,) = run_values(
        graph, [out], patches.view(1, 30, 4, 7).numpy(), kernels.flatten(1).numpy()
    )
    for patch, kernel, result in zip(
        patches, kernels, found.reshape(6, out_channels, *found.shape[2:]), strict=True
    ):
        expected = functional.conv2d(
            patch, kernel.view(out_channels, -1, side, side), torch.tensor(bias).float(),
            groups=5 if side == 3 else 1,
        )  # fmt: skip
        np.testing.assert_allclose(result, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize('halo', ['own', 'neighbour'])
def test_every_way_and_share_gives_the_same(halo: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 3, 8, 12)).astype(np.float32)
    weights = rng.standard_normal((12, sum(LEVEL.split))).astype(np.float32)
    biases = [rng.standard_normal(count) for count in LEVEL.norm_channels]
    forms = [*FORMS.values()]
    forms += [
        dataclasses.replace(FORMS['openvino'], numbers_at_once=count) for count in (1, 400, 900)
    ]
    results = []
    for form in forms:
        graph = GraphBuilder('float32')
        x = graph.input('x', images.shape, 'float32')
        given = graph.input('weights', weights.shape, 'float32')
        out = InvertedResidualWriter(graph, form, LEVEL, biases, halo).write(x, given, GRID)
        assert out.shape == (2, 4, 8, 12)
        results += run_values(graph, [out], images, weights)
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-4, rtol=1e-4)


def test_patches_laid_side_by_side_are_joined_again() -> None:
    pixels = np.random.default_rng(0).standard_normal((2 * 8 * 12, 5)).astype(np.float32)
    graph = GraphBuilder('float32')
    rows = graph.input('rows', pixels.shape, 'float32')
    places = patch_places(2, (8, 12), GRID)
    shares = [5, 4, 3]
    maps = [
        side_by_side(graph, rows, part, (4, 4)) for part in np.split(places, np.cumsum(shares)[:2])
    ]
    (found,) = run_values(graph, [joined(graph, maps, places, shares)], pixels)
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize(
    ('count', 'numbers_at_once', 'shares'),
    [(12, 120, [12]), (12, 119, [6, 6]), (10, 40, [3, 3, 4]), (3, 1, [1, 1, 1])],
)
def test_shares_are_alike_and_no_larger_than_allowed(
    count: int, numbers_at_once: int, shares: list[int]
) -> None:
    assert share_patches(count, 10, numbers_at_once) == shares
