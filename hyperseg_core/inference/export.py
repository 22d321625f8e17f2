# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The deployable graph as an ONNX file, with all that an engine's user must know inside it."""

from collections.abc import Iterator
import contextlib
import json
import logging
from pathlib import Path
from typing import Any
import warnings

import torch

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.checkpoint import write_atomically
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engines import OPSET
from hyperseg_core.inference.engines import Form
from hyperseg_core.inference.graph import DeployableGraph
from hyperseg_core.preprocessing import Size

INPUT_NAME = 'frames'
OUTPUT_NAMES = ('labels', 'confidence')


def graph_of(checkpoint: Checkpoint, size: Size, output_size: Size, form: Form) -> DeployableGraph:
    """Build a checkpoint's deployable graph."""
    return DeployableGraph(
        checkpoint.model,
        num_labels=len(checkpoint.label_set),
        size=size,
        output_size=output_size,
        form=form,
    )


def export_onnx(
    checkpoint: Checkpoint,
    path: Path,
    *,
    size: Size,
    output_size: Size | None = None,
    batch: int = 1,
    form: Form = 'openvino',
) -> Path:
    """Write the graph as ONNX: static shapes, checked by onnx.checker.

    Args:
        checkpoint: The network and its labels.
        path: Where to.
        size: The network's input size [px].
        output_size: Size of the ids; None: `size`.
        batch: Frames per run.
        form: The engines it is for.

    Raises:
        EngineError: If what the export needs is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as err:
        msg = f'Exporting needs {err.name}, which is not installed: `pip install onnx onnxscript`.'
        raise EngineError(msg) from err
    graph = graph_of(checkpoint, size, output_size or size, form)
    frames = torch.zeros((batch, *size, 3), dtype=torch.uint8)
    with _quiet_exporters(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        program = torch.onnx.export(
            graph,
            (frames,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            verbose=False,
        )
    assert program is not None
    proto: Any = program.model_proto
    for key, value in _metadata(checkpoint, size, form).items():
        proto.metadata_props.add(key=f'hyperseg.{key}', value=value)
    onnx.checker.check_model(proto)
    write_atomically(path, proto.SerializeToString())
    return path


@contextlib.contextmanager
def _quiet_exporters() -> Iterator[None]:
    """Keep the exporters' loggers, which tell every constant, silent for a while."""
    loggers = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _metadata(checkpoint: Checkpoint, size: Size, form: Form) -> dict[str, str]:
    return {
        'digest': checkpoint.digest,
        'form': form,
        'labels': json.dumps(checkpoint.label_set.to_dict()),
        'preprocessing': json.dumps({'input': 'uint8 NHWC RGB, 0 to 255', 'size': size}),
    }
