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

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value

Size = tuple[int, int]

_BLOCK = 16
"""Coarse pixels of a block, about: more cost more products, fewer more halo."""
_MAX_BLOCK = 64
"""Block up to which the products are worth it: measured on OpenVINO, a block of 52 beats its
interpolation by a quarter."""


def write_upsampling(
    graph: GraphBuilder, logits_BNHW: Value, fine: Size, *, num_bands: int, scale: float = 1.0
) -> list[Value]:
    """Resize logits bilinearly to `fine`, and multiply them.

    Args:
        graph: Where to.
        logits_BNHW: The logits.
        fine: Output size [px].
        num_bands: Bands that the output comes in, where it is made of products.
        scale: What the output is multiplied by; in products it costs nothing.

    Returns:
        The upsampled map's bands of lines, from the top.
    """
    coarse = (logits_BNHW.shape[2], logits_BNHW.shape[3])
    rows, cols = (choose_block(*line) for line in zip(coarse, fine, strict=True))
    if coarse != fine and rows is not None and cols is not None:
        return _multiply_blocks(graph, logits_BNHW, fine, (rows, cols), num_bands, scale)
    if scale != 1:
        logits_BNHW = graph.binary('Mul', logits_BNHW, graph.constant(np.array(scale)))
    return [logits_BNHW if coarse == fine else graph.resize(logits_BNHW, fine)]


def _multiply_blocks(
    graph: GraphBuilder, x_BNHW: Value, fine: Size, blocks: Size, num_bands: int, scale: float
) -> list[Value]:
    batch, planes, height, width = x_BNHW.shape
    row_matrix = graph.constant(scale * block_matrix(height, fine[0], blocks[0]))
    col_matrix = graph.constant(block_matrix(width, fine[1], blocks[1]).T)
    # Both halos before anything grows: gathering single columns is dear.
    x_BNHW = graph.gather(x_BNHW, haloed_blocks(width, blocks[1]).reshape(-1), 3)
    rows = haloed_blocks(height, blocks[0])
    bands = []
    for band in np.array_split(rows, min(num_bands, len(rows))):
        tall = graph.gather(x_BNHW, band.reshape(-1), 2)
        tall = graph.reshape(tall, (-1, row_matrix.shape[1], tall.shape[3]))
        tall = graph.matmul(row_matrix, tall)
        wide = graph.matmul(graph.reshape(tall, (-1, col_matrix.shape[0])), col_matrix)
        bands.append(graph.reshape(wide, (batch, planes, -1, fine[1])))
    return bands


def haloed_blocks(size: int, block: int) -> NDArray[np.int64]:
    """Return which pixels of a line each of its blocks with its halo is made of."""
    places = np.arange(0, size, block)[:, None] + np.arange(-1, block + 1)
    return places.clip(0, size - 1)


def block_matrix(size: int, output_size: int, block: int) -> NDArray[np.float64]:
    """Return the matrix that resizes a block of a line, given with a halo of 1 px."""
    factor = Fraction(output_size, size)
    # Resized with q pixels more on either side, a block is as in the line, and on whole pixels.
    margin = factor.denominator
    length = block + 2 * margin
    matrix = bilinear_matrix(length, int(factor * length))
    rows = slice(factor.numerator, len(matrix) - factor.numerator)
    return matrix[rows, margin - 1 : margin + block + 1]


def choose_block(size: int, output_size: int) -> int | None:
    """Return the block next to `_BLOCK` that both lines have whole numbers of, if one is small."""
    step = Fraction(output_size, size).denominator
    blocks = [block for block in range(step, _MAX_BLOCK + 1, step) if size % block == 0]
    return min(blocks, key=lambda block: abs(block - _BLOCK), default=None)


def bilinear_matrix(size: int, output_size: int) -> NDArray[np.float64]:
    """Return the matrix (output_size, size) of a line's bilinear resize, pixel areas aligned."""
    places = ((np.arange(output_size) + 0.5) * size / output_size - 0.5).clip(0, size - 1)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, size - 1)
    weight = places - below
    matrix = np.zeros((output_size, size))
    lines = np.arange(output_size)
    matrix[lines, below] += 1 - weight
    matrix[lines, above] += weight
    return matrix
