# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs graphs in tests, on ONNX Runtime."""

import numpy as np
import onnx
import pytest

from hyperseg_core import Checkpoint
from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.deploy.forms import Form
from hyperseg_core.deploy.graph import write_logits


def run_model(model: onnx.ModelProto, *inputs: np.ndarray) -> list[np.ndarray]:
    """Check a model and run it."""
    pytest.importorskip('onnxruntime')
    from hyperseg_core.inference.engines.onnxruntime import import_onnxruntime

    onnx.checker.check_model(model, full_check=True)
    session = import_onnxruntime().InferenceSession(
        model.SerializeToString(), providers=['CPUExecutionProvider']
    )
    names = [item.name for item in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def run_values(graph: GraphBuilder, values: list[Value], *inputs: np.ndarray) -> list[np.ndarray]:
    """Run what was written up to some values."""
    for value in values:
        graph.output(value)
    return run_model(graph.model({}), *inputs)


def run_logits(
    checkpoint: Checkpoint, form: Form, frames: np.ndarray, output: tuple[int, int] | None = None
) -> np.ndarray:
    """Compute a checkpoint's logits of frames (B, H, W, 3) uint8, (B, N, H', W')."""
    graph = GraphBuilder(form.float_type)
    size = frames.shape[1:3]
    bands = write_logits(graph, checkpoint, form, len(frames), size, output or size)
    (logits,) = run_values(graph, [graph.concat(bands, 2)], frames)
    return logits
