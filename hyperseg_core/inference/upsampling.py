# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last upsampling of the logits, bilinear with pixel areas aligned, in forms engines do fast.

An engine's own interpolation leaves the classes innermost and is followed by a costly change of
layout, as the comparison of classes wants plane after plane. So where it can be it is made of
products with constant matrices and of blended lines, which leave planes.

Shape suffixes used in this file:
    B batch, N classes, H/W height/width [px] of the coarse map, X output width [px].
"""

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.model.decoder import upsample

Size = tuple[int, int]

_MAX_PRODUCTS = 200
"""Products per pixel up to which dense matrices are used: measured on OpenVINO, they beat its
interpolation at 128 and lose at 480."""
_BLOCK = 16
"""Coarse pixels of a line that are upsampled by one product; sizes of networks divide by it."""


class Interpolation(nn.Module):
    """The engine's own interpolation."""

    def __init__(self, fine: Size) -> None:
        """Take the output size [px]."""
        super().__init__()
        self.fine = fine

    def forward(self, x_BNHW: Tensor) -> list[Tensor]:
        """Return the upsampled map, as a list of one."""
        return [upsample(x_BNHW, self.fine)]


class DenseMatrices(nn.Module):
    """Two products with the whole matrices of the resize, for small maps."""

    rows: Tensor
    cols: Tensor

    def __init__(self, coarse: Size, fine: Size) -> None:
        """Compute the matrices."""
        super().__init__()
        self.register_buffer('rows', bilinear_matrix(coarse[0], fine[0]))
        self.register_buffer('cols', bilinear_matrix(coarse[1], fine[1]).t().contiguous())

    def forward(self, x_BNHW: Tensor) -> list[Tensor]:
        """Return the upsampled map, as a list of one."""
        return [torch.matmul(self.rows, torch.matmul(x_BNHW, self.cols))]


class WholeFactor(nn.Module):
    """Upsampling by a whole number: blended lines, then blocks of a line times a small matrix."""

    above: Tensor
    below: Tensor
    haloed: Tensor
    block: Tensor

    def __init__(self, coarse: Size, factor: int) -> None:
        """Compute which lines neighbour each line, and the matrix of a block."""
        super().__init__()
        self.factor = factor
        lines = torch.arange(coarse[0])
        self.register_buffer('above', (lines - 1).clamp(min=0))
        self.register_buffer('below', (lines + 1).clamp(max=coarse[0] - 1))
        starts = torch.arange(0, coarse[1], _BLOCK)[:, None]
        haloed = (starts + torch.arange(-1, _BLOCK + 1)).clamp(0, coarse[1] - 1)
        self.register_buffer('haloed', haloed.flatten())
        # Away from its edges, a resize of the block and its halo is that of the whole line.
        matrix = bilinear_matrix(_BLOCK + 2, factor * (_BLOCK + 2))
        self.register_buffer('block', matrix[factor:-factor].t().contiguous())

    def forward(self, x_BNHW: Tensor) -> list[Tensor]:
        """Return the lines of each phase: the k-th map has output lines k, k + factor, ..."""
        above, below = x_BNHW.index_select(2, self.above), x_BNHW.index_select(2, self.below)
        phases = []
        for phase in range(self.factor):
            offset = (phase + 0.5) / self.factor - 0.5
            other = above if offset < 0 else below
            phases.append(self._widen(abs(offset) * other + (1 - abs(offset)) * x_BNHW))
        return phases

    def _widen(self, x_BNHW: Tensor) -> Tensor:
        batch, planes, height, width = x_BNHW.shape
        lines = x_BNHW.reshape(batch * planes * height, width)
        blocks = lines.index_select(1, self.haloed).view(-1, _BLOCK + 2)
        return torch.matmul(blocks, self.block).view(batch, planes, height, self.factor * width)


def build_upsampling(coarse: Size, fine: Size) -> nn.Module:
    """Choose the form for two sizes: a module from (B, N, *coarse) to a list of line phases."""
    factor = fine[0] // coarse[0]
    products = coarse[0] * coarse[1] / fine[0] + coarse[0]
    is_whole = fine == (factor * coarse[0], factor * coarse[1]) and coarse[1] % _BLOCK == 0
    if is_whole and factor > 1:
        return WholeFactor(coarse, factor)
    if coarse != fine and products <= _MAX_PRODUCTS:
        return DenseMatrices(coarse, fine)
    return Interpolation(fine)


def interleave_lines(phases: list[Tensor]) -> Tensor:
    """Put the lines of phases together: maps (..., H, X) to (..., len(phases) H, X)."""
    if len(phases) == 1:
        return phases[0]
    stacked = torch.stack(phases, -2)
    return stacked.flatten(-3, -2)


def bilinear_matrix(size: int, output_size: int) -> Tensor:
    """Return the matrix (output_size, size) of a line's bilinear resize, pixel areas aligned."""
    lines = torch.eye(size)[:, None, None, :]
    resized = functional.interpolate(lines, (1, output_size), mode='bilinear', align_corners=False)
    return resized[:, 0, 0].transpose(0, 1).contiguous()
