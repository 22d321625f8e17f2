# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HyperSeg written plainly after its definitions: the baseline that benchmarks compare with.

Batch norms as they are, every dynamic convolution a grouped convolution with computed kernels,
halos by unfolding, normalisation and argmax outside the network. It shares the weights of a
`HyperSeg` and nothing of how the package computes.
"""

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.model.decoder import level_input
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.meta_block import InvertedResidualMetaBlock
from hyperseg_core.model.meta_block import RefinementMetaBlock


class PlainHyperSeg(nn.Module):
    """Normalised images (B, 3, H, W) to ids (B, H, W), int64."""

    def __init__(self, model: HyperSeg) -> None:
        """Share the weights of `model`."""
        super().__init__()
        self.model = model
        self.register_buffer('mean', 255 * torch.tensor(model.config.mean)[:, None, None])
        self.register_buffer('std', 255 * torch.tensor(model.config.std)[:, None, None])

    def forward(self, frames: Tensor) -> Tensor:
        """Segment frames (B, H, W, 3) uint8."""
        images = (frames.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return self.logits(images).argmax(1)

    def logits(self, images: Tensor) -> Tensor:
        """Compute the logits of normalised images at their own size."""
        model = self.model
        taps, head_features = model.backbone(images)
        signal = model.context_head(head_features)
        x: Tensor | None = None
        levels = zip(
            model.decoder.meta_blocks,
            reversed([images, *taps]),
            model.decoder.weight_maps(signal),
            strict=False,
        )
        for block, tap, weight_map in levels:
            inputs = level_input(tap, x, model.decoder.coordinates(tap))
            if isinstance(block, InvertedResidualMetaBlock):
                x = _inverted_residual(block, inputs, weight_map)
            elif isinstance(block, RefinementMetaBlock):
                x = inputs[:, -block.num_classes :] + block.norms[0](
                    _per_patch(inputs, weight_map, 1, 1)
                )
            else:
                x = _per_patch(inputs, weight_map, 1, 1)
                x = functional.relu(block.norms[0](x))
        size = images.shape[-2:]
        return functional.interpolate(x, size, mode='bilinear', align_corners=False)


def _cut(x: Tensor, grid: tuple[int, int], halo: int) -> Tensor:
    """Cut into (1, B R Q C, U + 2 halo, V + 2 halo)."""
    height, width = x.shape[-2] // grid[0], x.shape[-1] // grid[1]
    if halo:
        x = functional.pad(x, (halo,) * 4, mode='reflect')
    tall, wide = height + 2 * halo, width + 2 * halo
    cut = x.permute(0, 2, 3, 1).unfold(1, tall, height).unfold(2, wide, width)
    return cut.reshape(1, -1, tall, wide)


def _merge(x: Tensor, batch: int, grid: tuple[int, int]) -> Tensor:
    rows, cols = grid
    height, width = x.shape[-2:]
    patches = x.view(batch, rows, cols, -1, height, width).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(batch, -1, rows * height, cols * width)


def _per_patch(x: Tensor, weight_map: Tensor, kernel_size: int, halo: int) -> Tensor:
    batch, channels = x.shape[:2]
    grid = (weight_map.shape[-2], weight_map.shape[-1])
    count = batch * grid[0] * grid[1]
    kernels = weight_map.permute(0, 2, 3, 1).reshape(-1, channels, kernel_size, kernel_size)
    out = functional.conv2d(_cut(x, grid, halo if kernel_size > 1 else 0), kernels, groups=count)
    return _merge(out, batch, grid)


def _inverted_residual(block: InvertedResidualMetaBlock, x: Tensor, weight_map: Tensor) -> Tensor:
    batch, channels = x.shape[:2]
    grid = (weight_map.shape[-2], weight_map.shape[-1])
    count = batch * grid[0] * grid[1]
    weights = weight_map.permute(0, 2, 3, 1).reshape(count, -1)
    expand, depthwise, project = weights.split(block.split, dim=1)
    hidden = block.split[0] // channels
    halo = 1 if block.has_own_halo else 0

    def norm(index: int, value: Tensor) -> Tensor:
        sides = value.shape[-2:]
        return block.norms[index](value.view(count, -1, *sides)).view(1, -1, *sides)

    y = _cut(x, grid, halo)
    y = functional.conv2d(y, expand.reshape(-1, channels, 1, 1), groups=count)
    y = functional.relu6(norm(0, y))
    if not block.has_own_halo:
        y = _cut(_merge(y, batch, grid), grid, 1)
    y = functional.conv2d(y, depthwise.reshape(-1, 1, 3, 3), groups=count * hidden)
    y = functional.relu6(norm(1, y))
    y = functional.conv2d(y, project.reshape(-1, hidden, 1, 1), groups=count)
    y = _merge(norm(2, y), batch, grid)
    return x + y if block.is_residual else y
