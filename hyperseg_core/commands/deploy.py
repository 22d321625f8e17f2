# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg export`, `hyperseg build` and `hyperseg doctor`."""

from collections.abc import Sequence
from importlib import metadata
import logging
from pathlib import Path
import platform
import time

from rich.console import Console
from rich.table import Table

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.deploy.forms import FormName
from hyperseg_core.deploy.forms import Precision
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.cache import cache_root
from hyperseg_core.inference.machine import device_name
from hyperseg_core.inference.machine import this_machine
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.inference.selection import candidates
from hyperseg_core.preprocessing import network_size

_logger = logging.getLogger(__name__)


def export_command(
    out: Path,
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
    checkpoint: str = 'default',
    engine: str = 'auto',
    device: Device = 'auto',
    precision: str = 'auto',
    size: ImageSize | None = None,
    *,
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


def doctor_command() -> None:
    """Print what is installed, what `auto` would choose, and why."""
    print_report(())


def print_report(more: Sequence[tuple[str, str]]) -> None:
    """Print the doctor's table, with more rows of what was found."""
    console = Console()
    machine = this_machine()
    table = Table('what', 'found')
    table.add_row('Python', platform.python_version())
    for name in ('torch', 'timm', 'numpy', 'onnxruntime', 'onnxruntime-gpu', 'openvino', 'onnx'):
        table.add_row(name, _version(name))
    table.add_row('CUDA', device_name('cuda') if machine.has_cuda else 'none')
    table.add_row('ONNX Runtime providers', ', '.join(machine.providers) or 'none')
    table.add_row('bfloat16 on the CPU', 'yes' if machine.has_bf16 else 'no')
    for row in more:
        table.add_row(*row)
    table.add_row('engine cache', str(cache_root()))
    console.print(table)
    for place, candidate in enumerate(candidates('auto', 'auto', 'auto', machine), start=1):
        console.print(f'auto, choice {place}: {candidate.spec} ({candidate.reason})')


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'not installed'
