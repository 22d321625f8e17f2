# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Patches as operators: maps are cut into rows of channels and put together again.

Engines multiply rows of channels fast, and a patch with its halo is one gather of such rows.

Shape suffixes used in this file:
    B batch, C channels, H/W map height/width [px], R/Q patch-grid rows/columns, U/V patch
    height/width [px], P = B R Q patches, K pixels of a patch, N outputs.
"""

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.forms import PatchWay

Grid = tuple[int, int]
Places = NDArray[np.int64]
"""Which rows, pixels in line order, patches are made of: (P, K)."""


def cut_rows(
    graph: GraphBuilder, x_BCHW: Value, grid: Grid, way: PatchWay = 'transposes'
) -> Value:
    """Cut a map into patches of pixel rows, (P, K, C)."""
    batch, channels, height, width = x_BCHW.shape
    patch = (height // grid[0], width // grid[1])
    x_BHWC = graph.transpose(x_BCHW, (0, 2, 3, 1))
    if way == 'lines':
        lines = graph.reshape(x_BHWC, (-1, patch[1] * channels))
        order = np.arange(lines.shape[0]).reshape(batch * grid[0], patch[0], grid[1])
        lines = graph.gather(lines, order.transpose(0, 2, 1).reshape(-1), 0)
        return graph.reshape(lines, (-1, patch[0] * patch[1], channels))
    cut_BRUQVC = graph.reshape(x_BHWC, (batch, grid[0], patch[0], grid[1], patch[1], channels))
    rows_BRQUVC = graph.transpose(cut_BRUQVC, (0, 1, 3, 2, 4, 5))
    return graph.reshape(rows_BRQUVC, (-1, patch[0] * patch[1], channels))


def cut_haloed_rows(graph: GraphBuilder, x_BCHW: Value, grid: Grid) -> Value:
    """Cut a map into patches with a halo of 1 px, (P, (U + 2) (V + 2), C), reflected at edges."""
    batch, channels, height, width = x_BCHW.shape
    pixels = graph.reshape(graph.transpose(x_BCHW, (0, 2, 3, 1)), (-1, channels))
    places_PK = patch_places(batch, (height, width), grid, halo=1)
    gathered = graph.gather(pixels, places_PK.reshape(-1), 0)
    return graph.reshape(gathered, (*places_PK.shape, channels))


def patch_places(batch: int, size: tuple[int, int], grid: Grid, *, halo: int = 0) -> Places:
    """Return which pixels of maps patches are made of; beyond the edge they are reflected."""
    height, width = size
    rows = haloed_lines(height, height // grid[0], halo)
    cols = haloed_lines(width, width // grid[1], halo)
    places_RQUV = rows[:, None, :, None] * width + cols[None, :, None, :]
    places_PK = places_RQUV.reshape(grid[0] * grid[1], -1)
    offsets_B = np.arange(batch)[:, None, None] * (height * width)
    return (offsets_B + places_PK).reshape(-1, places_PK.shape[1])


def haloed_lines(size: int, patch: int, halo: int) -> NDArray[np.int64]:
    """Return which lines each patch with its halo is made of, (patches, patch + 2 halo)."""
    lines = np.arange(0, size, patch)[:, None] + np.arange(-halo, patch + halo)
    lines = np.abs(lines)
    return np.where(lines >= size, 2 * size - 2 - lines, lines)


def merge_rows(
    graph: GraphBuilder, rows_PKC: Value, batch: int, grid: Grid, size: tuple[int, int]
) -> Value:
    """Put patches of pixel rows together to a map, (B, C, H, W)."""
    height, width = size
    patch = (height // grid[0], width // grid[1])
    channels = rows_PKC.shape[2]
    patches_BRQUVC = graph.reshape(rows_PKC, (batch, *grid, *patch, channels))
    lines_BRUQVC = graph.transpose(patches_BRQUVC, (0, 1, 3, 2, 4, 5))
    map_BHWC = graph.reshape(lines_BRUQVC, (batch, height, width, channels))
    return graph.transpose(map_BHWC, (0, 3, 1, 2))


def cut_planes(graph: GraphBuilder, x_BCHW: Value, grid: Grid, way: PatchWay) -> Value:
    """Cut a map into patches that keep their planes, (P, C, K)."""
    if way == 'lines':
        return graph.transpose(cut_rows(graph, x_BCHW, grid, way), (0, 2, 1))
    batch, channels, height, width = x_BCHW.shape
    patch = (height // grid[0], width // grid[1])
    cut_BCRUQV = graph.reshape(x_BCHW, (batch, channels, grid[0], patch[0], grid[1], patch[1]))
    planes_BRQCUV = graph.transpose(cut_BCRUQV, (0, 2, 4, 1, 3, 5))
    return graph.reshape(planes_BRQCUV, (-1, channels, patch[0] * patch[1]))


def merge_planes(
    graph: GraphBuilder, planes_PNK: Value, batch: int, grid: Grid, size: tuple[int, int]
) -> Value:
    """Put patches of planes together to a map, (B, N, H, W)."""
    patch = (size[0] // grid[0], size[1] // grid[1])
    count = planes_PNK.shape[1]
    patches_BRQNUV = graph.reshape(planes_PNK, (batch, *grid, count, *patch))
    lines_BNRUQV = graph.transpose(patches_BRQNUV, (0, 3, 1, 4, 2, 5))
    return graph.reshape(lines_BNRUQV, (batch, count, *size))


def positional_encoding(height: int, width: int) -> NDArray[np.float64]:
    """Return the coordinates of a map's pixels, (1, 2, H, W): x, then y, from -1 to 1 (P_i)."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing='ij')
    return np.stack((x, y))[None]
