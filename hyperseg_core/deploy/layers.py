# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Static layers as operators: folded convolutions and activations."""

import numpy as np

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.weights import Folded


def convolve(
    graph: GraphBuilder,
    x: Value,
    folded: Folded,
    *,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> Value:
    """Apply a folded convolution to (B, C, H, W)."""
    kernel = graph.constant(folded.kernel, name=f'{folded.name}.weight')
    bias = None
    if folded.bias is not None:
        bias = graph.constant(folded.bias, name=f'{folded.name}.bias')
    return graph.conv(x, kernel, bias, stride=stride, padding=padding, groups=groups)


def relu(graph: GraphBuilder, x: Value) -> Value:
    """Return max(x, 0)."""
    return graph.unary('Relu', x)


def relu6(graph: GraphBuilder, x: Value) -> Value:
    """Return x limited to 0 to 6."""
    return graph.clip(x, 0, 6)


def silu(graph: GraphBuilder, x: Value) -> Value:
    """Return x sigmoid(x)."""
    return graph.binary('Mul', x, graph.unary('Sigmoid', x))


def mean_over_space(graph: GraphBuilder, x: Value) -> Value:
    """Average (B, C, H, W) over its pixels: (B, C, 1, 1)."""
    if x.dtype == np.dtype('float32').name:
        return graph.reduce('ReduceMean', x, (2, 3))
    # In float16 the sum over a whole map of a camera's size would pass 65504: line by line.
    return graph.reduce('ReduceMean', graph.reduce('ReduceMean', x, (3,)), (2,))
