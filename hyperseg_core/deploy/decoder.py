# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder as operators: meta blocks whose weights the signal brings, laid out for engines.

Maps and patches are rows of channels; the refinement works plane by plane, as the classes are
wanted apart after it.

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
from hyperseg_core.deploy.inverted_residual import InvertedResidualWriter
from hyperseg_core.deploy.inverted_residual import as_matrices
from hyperseg_core.deploy.layers import convolve
from hyperseg_core.deploy.layers import relu
from hyperseg_core.deploy.patches import Grid
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
        parts = [self._coordinates(tap), tap] + ([x] if x is not None else [])
        inputs_BCHW = graph.concat(parts, 1)
        grid = (weight_map.shape[2], weight_map.shape[3])
        weights_PD = self._per_patch(weight_map)
        if level.kind == 'refinement':
            return self._refinement(inputs_BCHW, weights_PD, grid, level.out_channels, biases[0])
        if level.kind == 'pointwise':
            rows_PKC = cut_rows(graph, inputs_BCHW, grid, self._form.patches)
            rows_PKC = graph.matmul(rows_PKC, as_matrices(graph, weights_PD, level.in_channels))
            rows_PKC = relu(graph, graph.binary('Add', rows_PKC, graph.constant(biases[0])))
            return merge_rows(graph, rows_PKC, tap.shape[0], grid, size)
        writer = InvertedResidualWriter(graph, self._form, level, biases, self._config.halo)
        merged_BCHW = writer.write(inputs_BCHW, weights_PD, grid)
        is_residual = level.in_channels == level.out_channels
        return graph.binary('Add', inputs_BCHW, merged_BCHW) if is_residual else merged_BCHW

    def _refinement(
        self, inputs_BCHW: Value, weights_PD: Value, grid: Grid, num_classes: int, bias: Floats
    ) -> Value:
        """Correct the logits, the last of the inputs, plane by plane: classes are wanted apart."""
        graph = self._graph
        batch, channels, height, width = inputs_BCHW.shape
        kernels_PND = graph.reshape(weights_PD, (-1, num_classes, channels))
        # What passes the logits on is part of the kernel: no addition per pixel.
        passing_on = np.eye(num_classes, channels, k=channels - num_classes)
        kernels_PND = graph.binary('Add', kernels_PND, graph.constant(passing_on))
        planes_PCK = cut_planes(graph, inputs_BCHW, grid, self._form.patches)
        out_PNK = graph.matmul(kernels_PND, planes_PCK)
        out_PNK = graph.binary('Add', out_PNK, graph.constant(bias[:, None]))
        return merge_planes(graph, out_PNK, batch, grid, (height, width))

    def _coordinates(self, tap: Value) -> Value:
        places = positional_encoding(tap.shape[2], tap.shape[3])
        return self._graph.constant(places.repeat(tap.shape[0], axis=0))

    def _per_patch(self, weight_map: Value) -> Value:
        """Bring a weight map (B, D, R, Q) to one vector per patch, (P, D)."""
        weights_BRQD = self._graph.transpose(weight_map, (0, 2, 3, 1))
        return self._graph.reshape(weights_BRQD, (-1, weight_map.shape[1]))
