# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Patch-wise convolution: every patch of a feature map has its own kernel.

Implements the dynamic patch-wise convolution of HyperSeg (CVPR 2021, section 3). Everything is
a reshape, a matrix product or an ordinary grouped convolution, so it trains and exports anywhere.

Shape suffixes used in this file:
    B batch, C channels, H/W feature-map height/width [px], R/Q patch-grid rows/columns,
    U/V patch height/width [px], D dynamic weights per patch.
"""

import torch
from torch import Tensor
from torch.nn import functional

from hyperseg_core.errors import InputError


def split_patches(features: Tensor, grid: tuple[int, int], *, halo: int = 0) -> Tensor:
    """Cut a feature map into a grid of patches.

    Args:
        features: Map, (B, C, H, W).
        grid: Patch rows R and columns Q; H is a multiple of R and W of Q.
        halo: Pixels of surroundings each patch is cut with; beyond the map's edge the map is
            reflected.

    Returns:
        Patches, (B, R, Q, C, H / R + 2 halo, W / Q + 2 halo).
    """
    batch, channels, height, width = features.shape
    rows, cols = grid
    patch_height, patch_width = height // rows, width // cols
    if halo == 0:
        cut_BCRUQV = features.reshape(batch, channels, rows, patch_height, cols, patch_width)
        return cut_BCRUQV.permute(0, 2, 4, 1, 3, 5)
    padded_BCHW = functional.pad(features, (halo,) * 4, mode='reflect')
    cut_BCRWU = padded_BCHW.unfold(2, patch_height + 2 * halo, patch_height)
    cut_BCRQUV = cut_BCRWU.unfold(3, patch_width + 2 * halo, patch_width)
    return cut_BCRQUV.permute(0, 2, 3, 1, 4, 5)


def merge_patches(patches: Tensor) -> Tensor:
    """Put patches without halo back together: (B, R, Q, C, U, V) to (B, C, R U, Q V)."""
    batch, rows, cols, channels, patch_height, patch_width = patches.shape
    patches_BCRUQV = patches.permute(0, 3, 1, 4, 2, 5)
    return patches_BCRUQV.reshape(batch, channels, rows * patch_height, cols * patch_width)


def weights_per_patch(weight_map: Tensor) -> Tensor:
    """Bring a weight map (B, D, R, Q) to one vector per patch, (B, R, Q, D)."""
    return weight_map.permute(0, 2, 3, 1)


def convolve_patches(
    patches: Tensor, weights: Tensor, *, kernel_size: int, depthwise: bool = False
) -> Tensor:
    """Convolve each patch with its own kernel, without padding.

    Args:
        patches: (B, R, Q, C_in, U, V).
        weights: One flattened kernel per patch, (B, R, Q, D), laid out (C_out, C_in, k, k), or
            (C_in, k, k) where `depthwise`.
        kernel_size: Side k of the square kernel [px].
        depthwise: Whether each channel is convolved by itself.

    Returns:
        (B, R, Q, C_out, U - k + 1, V - k + 1).
    """
    batch, rows, cols, in_channels, height, width = patches.shape
    count = batch * rows * cols
    fan_in = kernel_size**2 if depthwise else in_channels * kernel_size**2
    out_channels = weights.shape[-1] // fan_in
    if kernel_size == 1 and not depthwise:
        kernels_NOI = weights.reshape(count, out_channels, in_channels)
        pixels_NCP = patches.reshape(count, in_channels, height * width)
        return torch.bmm(kernels_NOI, pixels_NCP).view(
            batch, rows, cols, out_channels, height, width
        )
    groups = count * (in_channels if depthwise else 1)
    kernels = weights.reshape(count * out_channels, -1, kernel_size, kernel_size)
    convolved = functional.conv2d(
        patches.reshape(1, count * in_channels, height, width), kernels, groups=groups
    )
    return convolved.view(batch, rows, cols, out_channels, *convolved.shape[-2:])


def patchwise_conv2d(
    features: Tensor, weight_map: Tensor, *, kernel_size: int = 1, depthwise: bool = False
) -> Tensor:
    """Convolve each patch of a map with the kernel predicted for it.

    Args:
        features: Feature map, (B, C_in, H, W), floating point.
        weight_map: One flattened kernel per patch, (B, D, R, Q), with D = C_out C_in k ** 2, or
            C_in k ** 2 where `depthwise`.
        kernel_size: Side k of the square kernel [px]; odd. The map's edge is reflected.
        depthwise: Whether each channel is convolved by itself.

    Returns:
        Convolved map, (B, C_out, H, W), same dtype as `features`.

    Raises:
        InputError: If H is not a multiple of R, W not of Q, or D does not fit the channels.
    """
    height, width = features.shape[-2:]
    grid = (weight_map.shape[-2], weight_map.shape[-1])
    if height % grid[0] or width % grid[1]:
        msg = (
            f'Feature map is {height} x {width} px, but must be a multiple of the patch grid '
            f'{grid[0]} x {grid[1]}.'
        )
        raise InputError(msg)
    fan_in = kernel_size**2 * (1 if depthwise else features.shape[1])
    if weight_map.shape[1] % fan_in or (
        depthwise and weight_map.shape[1] != fan_in * features.shape[1]
    ):
        msg = (
            f'Weight map has {weight_map.shape[1]} weights per patch, which does not fit '
            f'{features.shape[1]} channels and a {kernel_size} x {kernel_size} kernel.'
        )
        raise InputError(msg)
    patches = split_patches(features, grid, halo=kernel_size // 2)
    convolved = convolve_patches(
        patches, weights_per_patch(weight_map), kernel_size=kernel_size, depthwise=depthwise
    )
    return merge_patches(convolved)


def positional_encoding(
    height: int, width: int, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return the coordinates of a map's pixels, (1, 2, H, W): x, then y, from -1 to 1 (P_i)."""
    x = torch.linspace(-1, 1, width, device=device, dtype=dtype).expand(height, width)
    y = torch.linspace(-1, 1, height, device=device, dtype=dtype)[:, None].expand(height, width)
    return torch.stack((x, y))[None]
