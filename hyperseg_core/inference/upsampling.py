# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last upsampling of the logits, bilinear with pixel areas aligned, in a form engines do fast.

An engine's own interpolation leaves the classes innermost and is followed by a costly change of
layout, as the comparison of classes wants plane after plane. So it is made of products of blocks
of the map with small constant matrices, first down the columns, then along the lines, which leave
planes. The map may come in bands of lines, so that what follows works on smaller pieces.

Shape suffixes used in this file:
    B batch, N classes, H/W height/width [px] of the coarse map, X output width [px].
"""

from fractions import Fraction

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.model.decoder import upsample

Size = tuple[int, int]

_BLOCK = 16
"""Coarse pixels of a block, about: more cost more products, fewer more halo."""
_MAX_BLOCK = 64
"""Block up to which the products are worth it: measured on OpenVINO, a block of 52 beats its
interpolation by a quarter."""


class Interpolation(nn.Module):
    """The engine's own interpolation."""

    def __init__(self, fine: Size) -> None:
        """Take the output size [px]."""
        super().__init__()
        self.fine = fine

    def forward(self, x_BNHW: Tensor) -> list[Tensor]:
        """Return the upsampled map, as a list of one."""
        return [upsample(x_BNHW, self.fine)]


class BlockProducts(nn.Module):
    """Products of blocks of the map, each with a halo of 1 px, and the matrices of a block."""

    row_places: Tensor
    row_matrix: Tensor
    col_places: Tensor
    col_matrix: Tensor

    def __init__(self, coarse: Size, fine: Size, blocks: Size, num_bands: int) -> None:
        """Compute the matrices.

        Args:
            coarse: Size of the map [px].
            fine: Size of the output [px].
            blocks: Height and width of a block [px]; map and output have whole numbers of them.
            num_bands: Bands of lines that the output comes in.
        """
        super().__init__()
        self.fine, self.num_bands = fine, num_bands
        lines = zip(('row', 'col'), coarse, fine, blocks, strict=True)
        for name, size, output_size, block in lines:
            self.register_buffer(f'{name}_places', _haloed_blocks(size, block))
            self.register_buffer(f'{name}_matrix', _block_matrix(size, output_size, block))

    def forward(self, x_BNHW: Tensor) -> list[Tensor]:
        """Return the upsampled map's bands of lines, from the top."""
        batch, planes = x_BNHW.shape[:2]
        # Both halos before anything grows: gathering single columns is dear.
        haloed = x_BNHW.index_select(3, self.col_places).index_select(2, self.row_places)
        width = haloed.shape[3]
        tall = torch.matmul(self.row_matrix, haloed.view(-1, self.row_matrix.shape[1], width))
        tall = tall.view(batch, planes, self.fine[0], width)
        # An operator that splits into one would copy.
        bands = tall.chunk(self.num_bands, 2) if self.num_bands > 1 else [tall]
        return [self._widen(band) for band in bands]

    def _widen(self, x_BNHW: Tensor) -> Tensor:
        blocks = x_BNHW.reshape(-1, self.col_matrix.shape[1])
        return torch.matmul(blocks, self.col_matrix.t()).view(*x_BNHW.shape[:3], self.fine[1])


def _haloed_blocks(size: int, block: int) -> Tensor:
    """Return which pixels of a line its blocks with their halos are made of, one after another."""
    places = torch.arange(0, size, block)[:, None] + torch.arange(-1, block + 1)
    return places.clamp(0, size - 1).flatten()


def _block_matrix(size: int, output_size: int, block: int) -> Tensor:
    """Return the matrix that resizes a block of a line, given with a halo of 1 px."""
    factor = Fraction(output_size, size)
    # Resized with q pixels more on either side, a block is as in the line, and on whole pixels.
    margin = factor.denominator
    length = block + 2 * margin
    matrix = bilinear_matrix(length, int(factor * length))
    rows = slice(factor.numerator, len(matrix) - factor.numerator)
    return matrix[rows, margin - 1 : margin + block + 1].contiguous()


def _choose_block(size: int, output_size: int) -> int | None:
    """Return the block next to `_BLOCK` that both lines have whole numbers of, if one is small."""
    step = Fraction(output_size, size).denominator
    blocks = [block for block in range(step, _MAX_BLOCK + 1, step) if size % block == 0]
    return min(blocks, key=lambda block: abs(block - _BLOCK), default=None)


def build_upsampling(coarse: Size, fine: Size, *, num_bands: int = 1) -> nn.Module:
    """Choose the form for two sizes: a module from (B, N, *coarse) to a list of bands of lines.

    Args:
        coarse: Size of the map [px].
        fine: Size of the output [px].
        num_bands: Bands that the output comes in, where it is made of products.
    """
    rows, cols = (_choose_block(*line) for line in zip(coarse, fine, strict=True))
    if coarse == fine or rows is None or cols is None:
        return Interpolation(fine)
    return BlockProducts(coarse, fine, (rows, cols), num_bands)


def bilinear_matrix(size: int, output_size: int) -> Tensor:
    """Return the matrix (output_size, size) of a line's bilinear resize, pixel areas aligned."""
    lines = torch.eye(size, dtype=torch.float64)[:, None, None, :]
    resized = functional.interpolate(lines, (1, output_size), mode='bilinear', align_corners=False)
    return resized[:, 0, 0].transpose(0, 1).float().contiguous()
