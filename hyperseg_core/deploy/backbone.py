# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The backbone *b* as operators: an EfficientNet with its taps reduced.

Weights have timm's names, as in checkpoints.
"""

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.layers import convolve
from hyperseg_core.deploy.layers import mean_over_space
from hyperseg_core.deploy.layers import relu6
from hyperseg_core.deploy.layers import silu
from hyperseg_core.deploy.weights import Folded
from hyperseg_core.deploy.weights import FoldedWeights
from hyperseg_core.model.config import BackboneConfig
from hyperseg_core.model.efficientnet import NORM_EPS
from hyperseg_core.model.efficientnet import Block
from hyperseg_core.model.efficientnet import EfficientNet


class BackboneWriter:
    """Writes one network's operators."""

    def __init__(
        self,
        graph: GraphBuilder,
        weights: FoldedWeights,
        network: EfficientNet,
        config: BackboneConfig,
    ) -> None:
        """Write `network` with `weights` into `graph`."""
        self._graph, self._weights = graph, weights
        self._network, self._config = network, config
        self._activate = relu6 if network.is_lite else silu

    def write(self, images: Value) -> tuple[list[Value], Value]:
        """Encode normalised images (B, 3, H, W).

        Returns:
            The reduced taps, fine to coarse, at strides 2 to 32, and the head features
            (B, C, H / 32, W / 32).
        """
        graph, network, stem = self._graph, self._network, self._network.stem
        shape = (network.stem_channels, images.shape[1], stem.kernel_size, stem.kernel_size)
        folded = self._folded('conv_stem', 'bn1', shape)
        with graph.scope('backbone.stem'):
            x = convolve(graph, images, folded, stride=stem.stride, padding=stem.padding)
            x = self._activate(graph, x)
        taps: list[Value] = []
        for stage, blocks in enumerate(network.stages):
            for index, block in enumerate(blocks):
                name = f'blocks.{stage}.{index}'
                with graph.scope(f'backbone.{name}'):
                    x = self._block(x, block, name)
            if stage in network.tapped_stages:
                with graph.scope('backbone.taps'):
                    taps.append(self._reduced(x, len(taps)))
        folded = self._folded('conv_head', 'bn2', (network.head_channels, x.shape[1], 1, 1))
        with graph.scope('backbone.head'):
            return taps, self._activate(graph, convolve(graph, x, folded))

    def _block(self, x: Value, block: Block, name: str) -> Value:
        """Write a depthwise-separable block or, where it expands, an inverted residual."""
        graph = self._graph
        y = x
        norms = iter(('bn1', 'bn2', 'bn3'))
        expands = block.expansion > 1
        if expands:
            shape = (block.hidden, block.in_channels, 1, 1)
            y = convolve(graph, y, self._folded(f'{name}.conv_pw', f'{name}.{next(norms)}', shape))
            y = self._activate(graph, y)
        side = block.depthwise.kernel_size
        folded = self._folded(
            f'{name}.conv_dw', f'{name}.{next(norms)}', (block.hidden, 1, side, side)
        )
        y = convolve(
            graph, y, folded, stride=block.depthwise.stride, padding=block.depthwise.padding,
            groups=block.hidden,
        )  # fmt: skip
        y = self._activate(graph, y)
        if not self._network.is_lite:
            y = self._squeeze_excite(y, block, f'{name}.se')
        last = f'{name}.conv_pwl' if expands else f'{name}.conv_pw'
        shape = (block.out_channels, block.hidden, 1, 1)
        y = convolve(graph, y, self._folded(last, f'{name}.{next(norms)}', shape))
        return graph.binary('Add', y, x) if block.is_residual else y

    def _squeeze_excite(self, x: Value, block: Block, name: str) -> Value:
        """Scale each channel by what the map's average says of it."""
        graph = self._graph
        sizes = {'conv_reduce': (block.squeezed, block.hidden)}
        sizes['conv_expand'] = sizes['conv_reduce'][::-1]
        reduce, expand = (
            self._weights.conv_bias(f'backbone.{name}.{layer}', (*shape, 1, 1))
            for layer, shape in sizes.items()
        )
        y = self._activate(graph, convolve(graph, mean_over_space(graph, x), reduce))
        return graph.binary('Mul', x, graph.unary('Sigmoid', convolve(graph, y, expand)))

    def _reduced(self, x: Value, tap: int) -> Value:
        """Reduce a tap's channels; at scale 1 it passes as it is."""
        if self._config.tap_scales[tap] == 1.0:
            return x
        channels = self._network.tap_channels(self._config.tap_scales)[tap]
        name = f'backbone.tap_reductions.{tap}'
        folded = self._weights.conv_norm(f'{name}.0', f'{name}.1', (channels, x.shape[1], 1, 1))
        return convolve(self._graph, x, folded)

    def _folded(self, conv: str, norm: str, shape: tuple[int, int, int, int]) -> Folded:
        return self._weights.conv_norm(f'backbone.{conv}', f'backbone.{norm}', shape, eps=NORM_EPS)
