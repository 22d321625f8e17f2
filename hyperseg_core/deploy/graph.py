# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The deployable graph: uint8 frames in, uint8 ids and confidence out, shapes fixed.

All that costs per pixel is in it: layout, normalisation, the network with its batch norms
folded, the upsampling of the logits, the class and its probability. It is written from a
checkpoint's configuration and weights, computes what `hyperseg_core.model.HyperSeg` does, and
keeps rules that hold for every engine: no operator needs a shape that depends on data, no int64
is computed per pixel, and a uint8 tensor meets nothing but Cast, as TensorRT wants it.
"""

import dataclasses
import json

import numpy as np
import onnx

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.deploy.backbone import BackboneWriter
from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.comparison import write_comparison
from hyperseg_core.deploy.context_head import ContextHeadWriter
from hyperseg_core.deploy.decoder import DecoderWriter
from hyperseg_core.deploy.forms import FLOAT_TYPES
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.forms import Form
from hyperseg_core.deploy.forms import FormName
from hyperseg_core.deploy.forms import Precision
from hyperseg_core.deploy.upsampling import write_upsampling
from hyperseg_core.deploy.weights import FoldedWeights
from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.efficientnet import describe_efficientnet
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import network_size

INPUT_NAME = 'frames'
OUTPUT_NAMES = ('labels', 'confidence')


def build_graph(
    checkpoint: Checkpoint,
    size: Size,
    *,
    output_size: Size | None = None,
    batch: int = 1,
    form: Form | FormName = 'openvino',
    precision: Precision = 'f32',
) -> onnx.ModelProto:
    """Write a checkpoint's graph for one input and one output size.

    Args:
        checkpoint: The network and its labels.
        size: The network's input size, height and width [px].
        output_size: Size of the ids [px]; None: `size`.
        batch: Frames per run.
        form: How it is written, or the name of the engine that it is for.
        precision: What a named form computes in: `f32`, or `f16` but for the normalisation of
            the pixels and the comparison of the classes.

    Returns:
        The model: `frames` (B, H, W, 3) uint8, RGB, to `labels` (B, H', W') uint8, 255 = void,
        and `confidence` (B, H', W') uint8, 255 = a probability of 1.

    Raises:
        CheckpointError: If the checkpoint's tensors do not fit its network.
        ConfigError: If the network cannot be deployed, or sizes or batch do not fit it.
        EngineError: If a weight is beyond what the precision can hold.
    """
    name = form if isinstance(form, str) else 'own'
    if isinstance(form, str):
        form = dataclasses.replace(FORMS[form], float_type=FLOAT_TYPES[precision])
    size = network_size(size, checkpoint.config, size)
    output_size = output_size or size
    if min(batch, *output_size) < 1:
        msg = f'Batch {batch} and output size {output_size} must be 1 or more.'
        raise ConfigError(msg)
    graph = GraphBuilder(form.float_type)
    bands = write_logits(graph, checkpoint, form, batch, size, output_size)
    _write_outputs(graph, bands, len(checkpoint.label_set))
    return graph.model(_metadata(checkpoint, size, name, form))


def write_logits(
    graph: GraphBuilder,
    checkpoint: Checkpoint,
    form: Form,
    batch: int,
    size: Size,
    output_size: Size,
) -> list[Value]:
    """Write all but the comparison of the classes.

    Returns:
        The logits' bands of lines from the top, (B, N, H'_i, W'), in the form's float type and
        divided by the configuration's temperature.
    """
    config = checkpoint.config
    frames = graph.input(INPUT_NAME, (batch, *size, 3), 'uint8')
    with graph.scope('preprocessing'):
        images = graph.cast(normalised(graph, frames, config), form.float_type)
    weights = FoldedWeights(checkpoint.tensors())
    network = describe_efficientnet(config.backbone)
    taps, head = BackboneWriter(graph, weights, network, config.backbone).write(images)
    with graph.scope('context_head'):
        signal = ContextHeadWriter(graph, weights, config.context_head).write(head)
    decoder = DecoderWriter(graph, weights, config.decoder, form)
    logits = decoder.write([images, *taps], signal, config.num_classes)
    weights.check_all_read()
    with graph.scope('upsampling'):
        return write_upsampling(
            graph, logits, output_size, num_bands=form.bands, scale=1 / config.temperature
        )


def normalised(graph: GraphBuilder, frames: Value, config: ModelConfig) -> Value:
    """Bring frames (B, H, W, 3) uint8 to normalised images (B, 3, H, W), in float32."""
    batch, height, width, channels = frames.shape
    # As lines of numbers, and before the axes are permuted: an engine that keeps channels
    # innermost never moves them then, and none is fast at loops of three.
    lines = graph.reshape(graph.cast(frames, 'float32'), (batch, height, width * channels))
    mean, std = (255 * np.tile(numbers, width) for numbers in (config.mean, config.std))
    lines = graph.binary('Sub', lines, graph.constant(mean, dtype='float32'))
    lines = graph.binary('Mul', lines, graph.constant(1 / std, dtype='float32'))
    return graph.transpose(graph.reshape(lines, frames.shape), (0, 3, 1, 2))


def _write_outputs(graph: GraphBuilder, bands: list[Value], num_labels: int) -> None:
    """Write the graph's outputs: each pixel's class and its probability."""
    with graph.scope('comparison'):
        pairs = [
            write_comparison(graph, graph.cast(band, 'float32'), num_labels) for band in bands
        ]
        for name, pieces in zip(OUTPUT_NAMES, zip(*pairs, strict=True), strict=True):
            graph.output(graph.cast(graph.concat(pieces, 1), 'uint8', name=name))


def _metadata(checkpoint: Checkpoint, size: Size, name: str, form: Form) -> dict[str, str]:
    return {
        'hyperseg.digest': checkpoint.digest,
        'hyperseg.form': name,
        'hyperseg.float_type': form.float_type,
        'hyperseg.labels': json.dumps(checkpoint.label_set.to_dict()),
        'hyperseg.preprocessing': json.dumps({'input': 'uint8 NHWC RGB, 0 to 255', 'size': size}),
    }
