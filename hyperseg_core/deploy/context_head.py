# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The context head *h* as operators: from the coarsest features to the signal."""

from collections.abc import Sequence

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.layers import convolve
from hyperseg_core.deploy.layers import mean_over_space
from hyperseg_core.deploy.layers import relu
from hyperseg_core.deploy.weights import FoldedWeights
from hyperseg_core.model.config import ContextHeadConfig


class ContextHeadWriter:
    """Writes one context head's operators."""

    def __init__(
        self, graph: GraphBuilder, weights: FoldedWeights, config: ContextHeadConfig
    ) -> None:
        """Write the head that `config` describes with `weights` into `graph`."""
        self._graph, self._weights, self._config = graph, weights, config
        self._is_halved = config.kind == 'halved'

    def write(self, head_features: Value) -> Value:
        """Turn head features (B, C, R, Q) into the signal, of the same shape."""
        graph = self._graph
        channels = head_features.shape[1]
        inner = channels // 2 if self._is_halved else channels
        finest = head_features
        if self._is_halved:
            finest = relu(graph, self._layer(head_features, 'in_conv', inner))
        maps = [finest]
        for step in range(self._config.levels - 1):
            down = self._layer(maps[-1], f'down_blocks.{step}', inner, side=2)
            maps.append(relu(graph, down))
        mean = mean_over_space(graph, maps[-1])
        x = graph.expand(mean, maps[-1].shape)
        return self._up_halved(maps, x) if self._is_halved else self._up_full(maps, x)

    def _up_halved(self, maps: Sequence[Value], x: Value) -> Value:
        """Mix beside each coarser map, enlarge; the signal is the finest map beside that."""
        for step in reversed(range(len(maps) - 1)):
            finer = maps[step + 1]
            block = self._layer(
                self._graph.concat([finer, x], 1), f'up_blocks.{step}', finer.shape[1]
            )
            x = self._enlarged(relu(self._graph, block))
        return self._graph.concat([maps[0], x], 1)

    def _up_full(self, maps: Sequence[Value], x: Value) -> Value:
        """Enlarge, mix beside each finer map; the signal is what came out last."""
        for step in reversed(range(len(maps) - 1)):
            finer = maps[step]
            stacked = self._graph.concat([finer, self._enlarged(x)], 1)
            x = self._layer(stacked, f'up_blocks.{step}', finer.shape[1])
            # The published VOC head has no activation before its weight mappers
            # (docs/published-differences.md: voc-head).
            x = relu(self._graph, x) if step else x
        return x

    def _layer(self, x: Value, name: str, out_channels: int, *, side: int = 1) -> Value:
        """Write a convolution with its norm; its stride is its side."""
        name = f'context_head.{name}'
        shape = (out_channels, x.shape[1], side, side)
        folded = self._weights.conv_norm(f'{name}.0', f'{name}.1', shape)
        return convolve(self._graph, x, folded, stride=side)

    def _enlarged(self, x: Value) -> Value:
        height, width = x.shape[2:]
        return self._graph.resize(x, (2 * height, 2 * width), is_nearest=True)
