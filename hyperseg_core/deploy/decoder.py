# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder as operators: meta blocks whose weights the signal brings, laid out for engines.

Maps and patches are rows of channels; the depthwise step sees all patches as channels of one
small map; the refinement works plane by plane, as the classes are wanted apart after it.

Shape suffixes used in this file:
    B batch, C channels, H/W map height/width [px], R/Q patch-grid rows/columns, U/V patch
    height/width [px], P = B R Q patches, K pixels of a patch, D dynamic weights, O outputs,
    N classes.
"""

from collections.abc import Sequence

import numpy as np

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.forms import Form
from hyperseg_core.deploy.layers import convolve
from hyperseg_core.deploy.layers import relu
from hyperseg_core.deploy.layers import relu6
from hyperseg_core.deploy.patches import cut_planes
from hyperseg_core.deploy.patches import cut_rows
from hyperseg_core.deploy.patches import merge_planes
from hyperseg_core.deploy.patches import merge_rows
from hyperseg_core.deploy.patches import positional_encoding
from hyperseg_core.deploy.weights import Floats
from hyperseg_core.deploy.weights import FoldedWeights
from hyperseg_core.model.config import DecoderConfig
from hyperseg_core.model.levels import Level
from hyperseg_core.model.levels import plan_levels
from hyperseg_core.model.levels import plan_mappers


class DecoderWriter:
    """Writes one decoder's operators."""

    def __init__(
        self, graph: GraphBuilder, weights: FoldedWeights, config: DecoderConfig, form: Form
    ) -> None:
        """Write the decoder that `config` describes with `weights` into `graph`."""
        self._graph, self._weights, self._config, self._form = graph, weights, config, form

    def write(self, taps: Sequence[Value], signal: Value, num_classes: int) -> Value:
        """Decode.

        Args:
            taps: Maps, fine to coarse, the image first.
            signal: (B, S, R, Q).
            num_classes: Classes of the logits.

        Returns:
            Logits at the finest level, (B, N, H_f, W_f).
        """
        channels = [tap.shape[1] for tap in taps]
        levels = plan_levels(channels, num_classes, self._config)
        norms = [self._weights.level_norms(index, level) for index, level in enumerate(levels)]
        maps = self._weight_maps(signal, levels, [scales for scales, _ in norms])
        x: Value | None = None
        for index, (level, tap) in enumerate(zip(levels, reversed(taps), strict=False)):
            with self._graph.scope(f'decoder.meta_blocks.{index}'):
                x = self._level(level, tap, x, maps[index], norms[index][1])
        assert x is not None
        return x

    def _weight_maps(
        self, signal: Value, levels: Sequence[Level], scales: Sequence[Floats]
    ) -> list[Value]:
        """Map the signal (B, S, R, Q) to one weight map (B, D_i, R, Q) per level."""
        graph = self._graph
        mappers = plan_mappers(levels, signal.shape[1], self._config)
        maps: list[Value] = []
        for index, mapper in enumerate(mappers):
            is_last = index == len(mappers) - 1
            own = slice(index, None if is_last else index + 1)
            with graph.scope(f'decoder.weight_mappers.{index}'):
                part = graph.slice(signal, [mapper.offset], [mapper.offset + mapper.width], 1)
                folded = self._weights.mapper(index, mapper, scales[own])
                made = convolve(graph, part, folded, groups=mapper.groups)
                used = graph.slice(made, [0], [mapper.num_dynamic_weights], 1)
                sizes = [level.num_dynamic_weights for level in levels[own]]
                maps += graph.split(used, sizes, 1)
        return maps

    def _level(
        self,
        level: Level,
        tap: Value,
        x: Value | None,
        weight_map: Value,
        biases: Sequence[Floats],
    ) -> Value:
        graph, size = self._graph, (tap.shape[2], tap.shape[3])
        if x is not None and x.shape[2:] != size:
            x = graph.resize(x, size)
        if level.kind == 'refinement':
            assert x is not None
            return self._refinement(level, tap, x, weight_map, biases[0])
        parts = [self._coordinates(tap), tap] + ([x] if x is not None else [])
        inputs_BCHW = graph.concat(parts, 1)
        inputs_BHWC = graph.transpose(inputs_BCHW, (0, 2, 3, 1))
        grid = (weight_map.shape[2], weight_map.shape[3])
        weights_PD = self._per_patch(weight_map)
        if level.kind == 'pointwise':
            kernels_PCO = self._kernels(weights_PD, level.out_channels, level.in_channels)
            rows_PKC = graph.matmul(cut_rows(graph, inputs_BHWC, grid), kernels_PCO)
            rows_PKC = relu(graph, self._biased(rows_PKC, biases[0]))
            return merge_rows(graph, rows_PKC, tap.shape[0], grid, size)
        rows_PKC = self._inverted_residual(level, inputs_BHWC, weights_PD, grid, biases)
        merged_BCHW = merge_rows(graph, rows_PKC, tap.shape[0], grid, size)
        is_residual = level.in_channels == level.out_channels
        return graph.binary('Add', inputs_BCHW, merged_BCHW) if is_residual else merged_BCHW

    def _inverted_residual(
        self,
        level: Level,
        inputs_BHWC: Value,
        weights_PD: Value,
        grid: tuple[int, int],
        biases: Sequence[Floats],
    ) -> Value:
        graph = self._graph
        batch, height, width, channels = inputs_BHWC.shape
        expand, depthwise, project = graph.split(weights_PD, level.split, 1)
        # Which weights make the halo's values: the patch's own or its neighbour's
        # (docs/published-differences.md: halos).
        is_own = self._config.halo == 'own'
        rows_PKC = cut_rows(graph, inputs_BHWC, grid, halo=1 if is_own else 0)
        rows_PKC = graph.matmul(rows_PKC, self._kernels(expand, level.hidden, channels))
        rows_PKC = relu6(graph, self._biased(rows_PKC, biases[0]))
        if not is_own:
            stitched_BCHW = merge_rows(graph, rows_PKC, batch, grid, (height, width))
            stitched_BHWC = graph.transpose(stitched_BCHW, (0, 2, 3, 1))
            rows_PKC = cut_rows(graph, stitched_BHWC, grid, halo=1)
        patch = (height // grid[0], width // grid[1])
        is_grouped = self._form.depthwise == 'grouped'
        convolve_depthwise = convolve_grouped if is_grouped else convolve_shifted
        rows_PKC = convolve_depthwise(graph, rows_PKC, depthwise, patch)
        rows_PKC = relu6(graph, self._biased(rows_PKC, biases[1]))
        kernels_PCO = self._kernels(project, level.out_channels, level.hidden)
        return self._biased(graph.matmul(rows_PKC, kernels_PCO), biases[2])

    def _refinement(
        self, level: Level, tap: Value, x: Value, weight_map: Value, bias: Floats
    ) -> Value:
        """Correct the logits plane by plane, as the classes are wanted apart afterwards.

        Engines that keep maps channel by channel inside keep the tap so: its share of the kernels
        is a product of its own. For those that keep planes, it is one product.
        """
        graph, num_classes = self._graph, level.out_channels
        grid, size = (weight_map.shape[2], weight_map.shape[3]), (tap.shape[2], tap.shape[3])
        kernels_PND = graph.reshape(
            self._per_patch(weight_map), (-1, num_classes, level.in_channels)
        )
        on_place, on_tap, on_logits = graph.split(kernels_PND, (2, tap.shape[1], num_classes), 2)
        # What passes the logits on is part of the kernel: no addition per pixel.
        on_logits = graph.binary('Add', on_logits, graph.constant(np.eye(num_classes)))
        place = self._coordinates(tap)
        if self._form.comparison == 'reductions':
            out_PNK = self._mixed((place, tap, x), (on_place, on_tap, on_logits), grid)
        else:
            out_PNK = self._mixed((place, x), (on_place, on_logits), grid)
            rows_PKC = cut_rows(graph, graph.transpose(tap, (0, 2, 3, 1)), grid)
            of_tap_PNK = graph.matmul(on_tap, graph.transpose(rows_PKC, (0, 2, 1)))
            out_PNK = graph.binary('Add', out_PNK, of_tap_PNK)
        out_PNK = graph.binary('Add', out_PNK, graph.constant(bias[:, None]))
        return merge_planes(graph, out_PNK, tap.shape[0], grid, size)

    def _mixed(
        self, maps: Sequence[Value], kernels: Sequence[Value], grid: tuple[int, int]
    ) -> Value:
        """Apply kernels (P, N, C) to the maps (B, C, H, W) that they belong to: (P, N, K)."""
        graph = self._graph
        return graph.matmul(
            graph.concat(kernels, 2), cut_planes(graph, graph.concat(maps, 1), grid)
        )

    def _coordinates(self, tap: Value) -> Value:
        places = positional_encoding(tap.shape[2], tap.shape[3])
        return self._graph.constant(places.repeat(tap.shape[0], axis=0))

    def _per_patch(self, weight_map: Value) -> Value:
        """Bring a weight map (B, D, R, Q) to one vector per patch, (P, D)."""
        weights_BRQD = self._graph.transpose(weight_map, (0, 2, 3, 1))
        return self._graph.reshape(weights_BRQD, (-1, weight_map.shape[1]))

    def _kernels(self, weights_PD: Value, out_channels: int, in_channels: int) -> Value:
        """Bring weights laid out (O, C) to matrices that rows of channels are multiplied by."""
        kernels_POC = self._graph.reshape(weights_PD, (-1, out_channels, in_channels))
        return self._graph.transpose(kernels_POC, (0, 2, 1))

    def _biased(self, rows_PKC: Value, bias: Floats) -> Value:
        return self._graph.binary('Add', rows_PKC, self._graph.constant(bias))


def convolve_grouped(
    graph: GraphBuilder, rows_PKC: Value, weights_PD: Value, patch: tuple[int, int]
) -> Value:
    """Convolve each channel of each patch by one grouped convolution over all of them.

    Args:
        graph: Where to.
        rows_PKC: Patches with a halo of 1 px, (P, (U + 2) (V + 2), C).
        weights_PD: Kernels, (P, C 3 3).
        patch: U and V.

    Returns:
        (P, U V, C).
    """
    count, _, channels = rows_PKC.shape
    rows_KPC = graph.transpose(rows_PKC, (1, 0, 2))
    image = graph.reshape(rows_KPC, (1, patch[0] + 2, patch[1] + 2, count * channels))
    image = graph.transpose(image, (0, 3, 1, 2))
    kernels = graph.reshape(weights_PD, (count * channels, 1, 3, 3))
    convolved = graph.conv(image, kernels, groups=count * channels)
    convolved = graph.transpose(convolved, (0, 2, 3, 1))
    rows_KPC = graph.reshape(convolved, (patch[0] * patch[1], count, channels))
    return graph.transpose(rows_KPC, (1, 0, 2))


def convolve_shifted(
    graph: GraphBuilder, rows_PKC: Value, weights_PD: Value, patch: tuple[int, int]
) -> Value:
    """Do what `convolve_grouped` does as a sum of nine shifted products."""
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
