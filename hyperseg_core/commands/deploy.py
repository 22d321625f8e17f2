# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg export` and `hyperseg build`."""

import logging
from pathlib import Path
import time

from rich.console import Console

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.deploy.forms import FormName
from hyperseg_core.deploy.forms import Precision
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.cache import cache_root
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.preprocessing import network_size

_logger = logging.getLogger(__name__)


def export_command(
    out: Path,
    *,
    checkpoint: str = 'default',
    size: ImageSize | None = None,
    output_size: ImageSize | None = None,
    batch: int = 1,
    form: FormName = 'tensorrt',
    precision: Precision = 'f32',
) -> None:
    """Write the deployable graph as ONNX: uint8 frames in, uint8 ids and confidence out.

    Args:
        out: Where to, ending in .onnx.
        checkpoint: File or name of a shipped checkpoint.
        size: Network input height and width [px]; the checkpoint's own by default.
        output_size: Size of the ids; the input size by default.
        batch: Frames per run.
        form: The engines it is for: tensorrt for GPUs, openvino or onnxruntime for CPUs.
        precision: What it computes in: f32, or f16 for GPUs that would be told nothing else.
    """
    import onnx

    from hyperseg_core.deploy.graph import build_graph

    loaded = load_checkpoint(checkpoint)
    config = loaded.config
    chosen = network_size(config.size, config, size)
    graph = build_graph(
        loaded, chosen, output_size=output_size, batch=batch, form=form, precision=precision
    )
    onnx.checker.check_model(graph, full_check=True)
    write_atomically(out, graph.SerializeToString(deterministic=True))
    _logger.info('Wrote %s (%d x %d px, batch %d, %s, %s).', out, *chosen, batch, form, precision)


def build_command(
    *,
    checkpoint: str = 'default',
    engine: str = 'auto',
    device: Device = 'auto',
    precision: str = 'auto',
    size: ImageSize | None = None,
    frame_size: ImageSize | None = None,
) -> None:
    """Build an engine ahead of its first use, and check it.

    Args:
        checkpoint: File or name of a shipped checkpoint.
        engine: auto, tensorrt, onnxruntime, openvino or torch.
        device: auto, cpu, gpu (Intel), cuda or cuda:N.
        precision: auto, f32, bf16 or f16.
        size: Network input height and width [px]; by default it follows the frames.
        frame_size: Height and width of the frames to come [px]; by default the network's.
    """
    console = Console()
    start_s = time.monotonic()
    with console.status('building and checking the engine'):
        segmenter = Segmenter(checkpoint, engine, device, precision, size, frame_size=frame_size)
    elapsed_s = time.monotonic() - start_s
    console.print(f'{segmenter.spec} is ready after {elapsed_s:.1f} s; cache: {cache_root()}')
