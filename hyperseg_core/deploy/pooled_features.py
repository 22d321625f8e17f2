# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The backbone alone with its last features averaged over the image: what a frame is like."""

import onnx

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.deploy.backbone import BackboneWriter
from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.graph import INPUT_NAME
from hyperseg_core.deploy.graph import normalised
from hyperseg_core.deploy.layers import mean_over_space
from hyperseg_core.deploy.weights import FoldedWeights
from hyperseg_core.model.efficientnet import describe_efficientnet
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import network_size


def build_feature_graph(checkpoint: Checkpoint, size: Size) -> onnx.ModelProto:
    """Write the graph of a checkpoint's pooled features, for one frame a run.

    Args:
        checkpoint: The network.
        size: Its input size, height and width [px].

    Returns:
        The model: `frames` (1, H, W, 3) uint8, RGB, to `mean` and `largest` of the head features
        over the image, (1, C) float32 each; two, as engines give two.

    Raises:
        CheckpointError: If the checkpoint's tensors do not fit its network.
        ConfigError: If the size does not fit the network.
    """
    config = checkpoint.config
    graph = GraphBuilder('float32')
    frames = graph.input(INPUT_NAME, (1, *network_size(size, config, size), 3), 'uint8')
    with graph.scope('preprocessing'):
        images = normalised(graph, frames, config)
    network = describe_efficientnet(config.backbone)
    weights = FoldedWeights(checkpoint.tensors())
    _, head = BackboneWriter(graph, weights, network, config.backbone).write(images)
    pooled = {
        'mean': mean_over_space(graph, head),
        'largest': graph.reduce('ReduceMax', head, (2, 3)),
    }
    for name, value in pooled.items():
        flat = graph.reshape(value, (1, -1))
        graph.output(graph.cast(flat, 'float32', name=name))
    return graph.model({'hyperseg.digest': checkpoint.digest})
