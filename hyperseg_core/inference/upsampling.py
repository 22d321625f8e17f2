# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last upsampling of the logits, bilinear with pixel areas aligned, in forms engines do fast.

An engine's own interpolation leaves the classes innermost and is followed by a costly change of
layout, as the comparison of classes wants plane after plane. So where it can be it is made of
products with constant matrices and of blended lines, which leave planes.

Shape suffixes used in this file:
    B batch, N classes, H/W height/width [px] of the coarse map, X output width [px].
"""

from fractions import Fraction
import math

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.model.decoder import upsample

Size = tuple[int, int]

_MAX_PRODUCTS = 200
"""Products per pixel up to which dense matrices are used: measured on OpenVINO, they beat its
interpolation at 128 and lose at 480."""
_MAX_PHASES = 8
"""Lines of a period up to which they are blended one by one."""
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


class BlendedBlocks(nn.Module):
    """Upsampling by a fraction p / q: blended lines, whose blocks a small matrix widens."""

    haloed: Tensor
    block: Tensor

    def __init__(self, coarse: Size, rows: Fraction, cols: Fraction) -> None:
        """Compute which lines are blended, and the matrix of a block.

        Args:
            coarse: Size of the map [px]; the rows' q divides its height, `_BLOCK` its width.
            rows: Factor of the height.
            cols: Factor of the width, with a q that divides `_BLOCK`.
        """
        super().__init__()
        self.rows, self.cols = rows, cols
        # Output lines k, k + p, ... lie between lines o, o + q, ... and those after them.
        places = [(k + 0.5) / float(rows) - 0.5 for k in range(rows.numerator)]
        self.blends = [(math.floor(place), place - math.floor(place)) for place in places]
        self.firsts = sorted({low + i for low, weight in self.blends for i in (0, weight > 0)})
        starts = torch.arange(0, coarse[0], rows.denominator)
        for first in self.firsts:
            self.register_buffer(_line_name(first), (starts + first).clamp(0, coarse[0] - 1))
        halo = cols.denominator
        starts = torch.arange(0, coarse[1], _BLOCK)[:, None]
        haloed = (starts + torch.arange(-halo, _BLOCK + halo)).clamp(0, coarse[1] - 1)
        self.register_buffer('haloed', haloed.flatten())
        # Away from its edges, a resize of the block and its halo is that of the whole line.
        width = _BLOCK + 2 * halo
        matrix = bilinear_matrix(width, int(cols * width))
        edge = cols.numerator
        self.register_buffer('block', matrix[edge:-edge].t().contiguous())

    def forward(self, x_BNHW: Tensor) -> list[Tensor]:
        """Return the lines of each phase: the k-th map has output lines k, k + p, ..."""
        lines = {first: self._lines(x_BNHW, first) for first in self.firsts}
        return [
            self._widen(
                (1 - weight) * lines[low] + weight * lines[low + 1] if weight else lines[low]
            )
            for low, weight in self.blends
        ]

    def _lines(self, x_BNHW: Tensor, first: int) -> Tensor:
        if first == 0 and self.rows.denominator == 1:
            return x_BNHW
        index: Tensor = self.get_buffer(_line_name(first))
        return x_BNHW.index_select(2, index)

    def _widen(self, x_BNHW: Tensor) -> Tensor:
        batch, planes, height, width = x_BNHW.shape
        lines = x_BNHW.reshape(batch * planes * height, width)
        blocks = lines.index_select(1, self.haloed).view(-1, self.block.shape[0])
        return torch.matmul(blocks, self.block).view(batch, planes, height, int(self.cols * width))


def _line_name(first: int) -> str:
    """Return the name of a buffer of line numbers; names have no minus."""
    return f'lines_{first + 1}'


def build_upsampling(coarse: Size, fine: Size) -> nn.Module:
    """Choose the form for two sizes: a module from (B, N, *coarse) to a list of line phases."""
    rows, cols = (Fraction(*sides) for sides in zip(fine, coarse, strict=True))
    products = coarse[0] * coarse[1] / fine[0] + coarse[0]
    is_blocked = (
        min(rows, cols) > 1
        and rows.numerator <= _MAX_PHASES
        and _BLOCK % cols.denominator == 0
        and coarse[1] % _BLOCK == 0
    )
    if is_blocked:
        return BlendedBlocks(coarse, rows, cols)
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
