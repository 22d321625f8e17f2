# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder's inverted residual as operators: expand, depthwise, project, all weights dynamic.

Two ways of writing it. By convolutions, patches lie side by side as channels of one small map,
and each step is a grouped convolution with computed kernels: nothing is moved between the steps.
By products, each patch is a matrix of its pixels' channels, for engines without computed kernels.

Shape suffixes used in this file:
    B batch, C channels, H/W map height/width [px], R/Q patch-grid rows/columns, U/V patch
    height/width [px], P = B R Q patches, K pixels of a patch, D dynamic weights, O outputs.
"""

from collections.abc import Sequence
import itertools

import numpy as np

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.forms import Form
from hyperseg_core.deploy.layers import relu6
from hyperseg_core.deploy.patches import Grid
from hyperseg_core.deploy.patches import Places
from hyperseg_core.deploy.patches import cut_haloed_rows
from hyperseg_core.deploy.patches import cut_rows
from hyperseg_core.deploy.patches import merge_rows
from hyperseg_core.deploy.patches import patch_places
from hyperseg_core.deploy.weights import Floats
from hyperseg_core.model.levels import Level


class InvertedResidualWriter:
    """Writes one level's inverted residual, in the way that the form wants."""

    def __init__(
        self, graph: GraphBuilder, form: Form, level: Level, biases: Sequence[Floats], halo: str
    ) -> None:
        """Write into `graph`; `biases` are what the three batch norms left.

        `halo` says which weights make the halo's values: the patch's `own`, or its neighbour's
        (docs/published-differences.md: halos).
        """
        self._graph, self._form, self._level = graph, form, level
        self._biases, self._is_own = biases, halo == 'own'

    def write(self, inputs_BCHW: Value, weights_PD: Value, grid: Grid) -> Value:
        """Apply each patch's weights (P, D) to it: (B, O, H, W)."""
        if self._form.inverted_residual == 'convolutions':
            return self._by_convolutions(inputs_BCHW, weights_PD, grid)
        return self._by_products(inputs_BCHW, weights_PD, grid)

    def _by_convolutions(self, inputs_BCHW: Value, weights_PD: Value, grid: Grid) -> Value:
        graph, level = self._graph, self._level
        batch, channels, height, width = inputs_BCHW.shape
        own_PK = patch_places(batch, (height, width), grid)
        haloed_PK = patch_places(batch, (height, width), grid, halo=1)
        patch = (height // grid[0], width // grid[1])
        haloed = (patch[0] + 2, patch[1] + 2)
        shares = share_patches(
            len(own_PK), haloed_PK.shape[1] * level.hidden, self._form.numbers_at_once
        )
        weights = [
            graph.split(share_PD, level.split, 1)
            for share_PD in graph.split(weights_PD, shares, 0)
        ]
        pixels = graph.reshape(graph.transpose(inputs_BCHW, (0, 2, 3, 1)), (-1, channels))
        if not self._is_own:
            expanded = [
                self._expanded(side_by_side(graph, pixels, places_PK, patch), expand)
                for places_PK, (expand, _, _) in zip(
                    in_shares(own_PK, shares), weights, strict=True
                )
            ]
            pixels = joined(graph, expanded, own_PK, shares)
        done = []
        for places_PK, (expand, depthwise, project) in zip(
            in_shares(haloed_PK, shares), weights, strict=True
        ):
            x = side_by_side(graph, pixels, places_PK, haloed)
            if self._is_own:
                x = self._expanded(x, expand)
            x = relu6(graph, convolve(graph, x, depthwise, level.hidden, self._biases[1], side=3))
            done.append(convolve(graph, x, project, level.out_channels, self._biases[2]))
        rows = joined(graph, done, own_PK, shares)
        return graph.transpose(graph.reshape(rows, (batch, height, width, -1)), (0, 3, 1, 2))

    def _expanded(self, x: Value, weights_PD: Value) -> Value:
        x = convolve(self._graph, x, weights_PD, self._level.hidden, self._biases[0])
        return relu6(self._graph, x)

    def _by_products(self, inputs_BCHW: Value, weights_PD: Value, grid: Grid) -> Value:
        graph, level = self._graph, self._level
        batch, channels, height, width = inputs_BCHW.shape
        expand, depthwise, project = graph.split(weights_PD, level.split, 1)
        cut = cut_haloed_rows if self._is_own else cut_rows
        rows_PKC = cut(graph, inputs_BCHW, grid)
        rows_PKC = graph.matmul(rows_PKC, as_matrices(graph, expand, channels))
        rows_PKC = relu6(graph, self._biased(rows_PKC, 0))
        if not self._is_own:
            stitched_BCHW = merge_rows(graph, rows_PKC, batch, grid, (height, width))
            rows_PKC = cut_haloed_rows(graph, stitched_BCHW, grid)
        patch = (height // grid[0], width // grid[1])
        rows_PKC = convolve_shifted(graph, rows_PKC, depthwise, patch)
        rows_PKC = relu6(graph, self._biased(rows_PKC, 1))
        rows_PKC = graph.matmul(rows_PKC, as_matrices(graph, project, level.hidden))
        return merge_rows(graph, self._biased(rows_PKC, 2), batch, grid, (height, width))

    def _biased(self, rows_PKC: Value, step: int) -> Value:
        return self._graph.binary('Add', rows_PKC, self._graph.constant(self._biases[step]))


def as_matrices(graph: GraphBuilder, weights_PD: Value, in_channels: int) -> Value:
    """Bring weights laid out (O, C) to matrices that rows of channels are multiplied by."""
    kernels_POC = graph.reshape(weights_PD, (weights_PD.shape[0], -1, in_channels))
    return graph.transpose(kernels_POC, (0, 2, 1))


def share_patches(count: int, numbers: int, numbers_at_once: int) -> list[int]:
    """Share patches of so many numbers among convolutions of no more than so many."""
    most = max(1, numbers_at_once // numbers)
    num_shares = -(-count // most)
    ends = [count * end // num_shares for end in range(num_shares + 1)]
    return [end - start for start, end in itertools.pairwise(ends)]


def in_shares(places_PK: Places, shares: Sequence[int]) -> list[Places]:
    """Cut the patches' places as the patches are shared."""
    return np.split(places_PK, np.cumsum(shares)[:-1])


def side_by_side(
    graph: GraphBuilder, pixels: Value, places_PK: Places, patch: tuple[int, int]
) -> Value:
    """Lay patches side by side, as channels of one small map (1, P C, U, V).

    Args:
        graph: Where to.
        pixels: Rows of channels, (pixels, C).
        places_PK: The patches' rows.
        patch: U and V; K of them.
    """
    rows = graph.gather(pixels, np.ascontiguousarray(places_PK.T).reshape(-1), 0)
    map_1UVC = graph.reshape(rows, (1, *patch, -1))
    return graph.transpose(map_1UVC, (0, 3, 1, 2))


def joined(
    graph: GraphBuilder, maps: Sequence[Value], places_PK: Places, shares: Sequence[int]
) -> Value:
    """Undo `side_by_side`: from each share's map (1, p C, U, V) to rows of pixels, (pixels, C)."""
    channels = maps[0].shape[1] // shares[0]
    rows = [graph.reshape(graph.transpose(x, (0, 2, 3, 1)), (-1, channels)) for x in maps]
    order = np.concatenate([places.T.reshape(-1) for places in in_shares(places_PK, shares)])
    return graph.gather(graph.concat(rows, 0), np.argsort(order), 0)


def convolve(
    graph: GraphBuilder,
    x: Value,
    weights_PD: Value,
    out_channels: int,
    bias: Floats,
    *,
    side: int = 1,
) -> Value:
    """Convolve patches that lie side by side, each with its own weights, without padding.

    Args:
        graph: Where to.
        x: (1, P C, U, V).
        weights_PD: Each patch's kernel, (O, C, side, side), or (O, 1, side, side) where O is C
            and `side` is not 1.
        out_channels: O.
        bias: (O).
        side: The kernel's side [px].

    Returns:
        (1, P O, U', V').
    """
    count, size = weights_PD.shape
    in_channels = size // (out_channels * side**2)
    kernels = graph.reshape(weights_PD, (count * out_channels, in_channels, side, side))
    biases = graph.constant(np.tile(bias, count))
    return graph.conv(x, kernels, biases, groups=x.shape[1] // in_channels)


def convolve_shifted(
    graph: GraphBuilder, rows_PKC: Value, weights_PD: Value, patch: tuple[int, int]
) -> Value:
    """Convolve each channel of each patch with its own kernel, as a sum of nine shifted products.

    Args:
        graph: Where to.
        rows_PKC: Patches with a halo of 1 px, (P, (U + 2) (V + 2), C).
        weights_PD: Kernels, (P, C 3 3).
        patch: U and V.

    Returns:
        (P, U V, C).
    """
    height, width = patch
    count, _, channels = rows_PKC.shape
    patches_PUVC = graph.reshape(rows_PKC, (count, height + 2, width + 2, channels))
    kernels_PC9 = graph.reshape(weights_PD, (count, channels, 9))
    kernels_P9C = graph.transpose(kernels_PC9, (0, 2, 1))
    kernels = graph.split(graph.reshape(kernels_P9C, (count, 9, 1, channels)), [1] * 9, 1)
    total: Value | None = None
    for place, kernel_P11C in enumerate(kernels):
        dy, dx = divmod(place, 3)
        shifted = graph.slice(patches_PUVC, (dy, dx), (dy + height, dx + width), 1)
        term = graph.binary('Mul', shifted, kernel_P11C)
        total = term if total is None else graph.binary('Add', total, term)
    assert total is not None
    return graph.reshape(total, (count, height * width, channels))
