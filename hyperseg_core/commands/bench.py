# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bench`: the whole path from uint8 frame to uint8 mask, on every engine here.

With `--profile`, what takes how long in one of them.
"""

from collections.abc import Callable
import functools
import json
import logging
from pathlib import Path
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.commands.bench_profile import profile as profile_engine
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.commands.options import Count
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.errors import HyperSegError
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.machine import Machine
from hyperseg_core.inference.machine import this_machine
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.inference.selection import candidates
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame

_logger = logging.getLogger(__name__)
_ON_CPUS = (
    EngineSpec('torch', 'cpu', 'f32'), EngineSpec('onnxruntime', 'cpu', 'f32'),
    EngineSpec('openvino', 'cpu', 'f32'), EngineSpec('openvino', 'cpu', 'bf16'),
)  # fmt: skip
_ON_GPUS = (
    EngineSpec('torch', 'cuda', 'f16'), EngineSpec('onnxruntime', 'cuda', 'f16'),
    EngineSpec('tensorrt', 'cuda', 'f16'),
)  # fmt: skip
"""Half precision: no gain on a CPU, where PyTorch takes seconds for it."""


def bench_command(
    *,
    checkpoint: str = 'default',
    frame_size: ImageSize = (480, 640),
    size: ImageSize | None = None,
    engine: str = 'auto',
    device: Device = 'auto',
    precision: str = 'auto',
    profile: bool = False,
    runs: Count = 50,
    output: Path | None = None,
) -> None:
    """Time every engine on this machine; outputs are compared before anything is timed.

    Args:
        checkpoint: File or name of a shipped checkpoint.
        frame_size: Height and width of the frames [px].
        size: Network input height and width [px]; by default it follows the frames.
        engine: auto (all of them), tensorrt, onnxruntime, openvino or torch.
        device: auto, cpu, gpu (Intel), cuda or cuda:N.
        precision: auto, f32, bf16 or f16.
        profile: Print what takes how long in one engine, by its kinds of work and by parts of
            the network: the first one that fits the three options above.
        runs: Timed runs per engine, after some for warming up.
        output: JSON file for the figures.
    """
    loaded = load_checkpoint(checkpoint)
    machine = this_machine()
    fitting = [item.spec for item in candidates(engine, device, precision, machine)]
    report: dict[str, Any] = {'machine': describe_machine(), 'frame_size': list(frame_size)}
    if profile:
        report['profile'] = profile_engine(loaded, fitting[0], frame_size, size, runs)
    else:
        is_all = (engine, device, precision) == ('auto', 'auto', 'auto')
        specs = _all_specs(machine) if is_all else fitting
        report['engines'] = _compared(loaded, specs, frame_size, size, runs)
        _print(report['engines'])
    Console().print(f'{report["machine"]}; {runs} runs after some for warming up')
    if output is not None:
        write_atomically(output, json.dumps(report, indent=2).encode())


def _all_specs(machine: Machine) -> list[EngineSpec]:
    return [*_ON_CPUS, *(_ON_GPUS if machine.has_cuda else ())]


def _compared(
    checkpoint: Checkpoint, specs: list[EngineSpec], frame_size: Size, size: Size | None, runs: int
) -> list[dict[str, Any]]:
    """Time engines, one after the other; those that cannot run are told and left out."""
    frame = DriveScene(1, height=frame_size[0], width=frame_size[1]).frame(2.0).image
    network = network_size(frame_size, checkpoint.config, size)
    rows: list[dict[str, Any]] = []
    expected = None
    for spec in specs:
        try:
            segmenter = Segmenter(
                checkpoint, spec.name, spec.device, spec.precision, size, frame_size=frame_size
            )
        except HyperSegError as error:
            _logger.info('Skipped %s: %s', spec, error)
            continue
        found = segmenter(frame).class_ids
        expected = found if expected is None else expected
        whole = timed(functools.partial(segmenter, frame), runs)
        resizing = timed(functools.partial(resize_frame, frame, network), runs)
        rows.append(
            {
                'engine': str(segmenter.spec),
                'agreement': float((found == expected).mean()),  # with the first engine here
                'network_size': list(network),
                'whole_ms': percentiles(whole),
                'resize_ms': percentiles(resizing),
            }
        )
        segmenter.close()
    return rows


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table('engine', 'agrees', 'p50 ms', 'p95 ms', 'p99 ms', 'resize ms', 'frames/s')
    for row in rows:
        whole_ms = row['whole_ms']
        table.add_row(
            row['engine'], f'{row["agreement"]:.4f}',
            *(f'{whole_ms[key]:.1f}' for key in ('p50', 'p95', 'p99')),
            f'{row["resize_ms"]["p50"]:.2f}', f'{1000 / whole_ms["p50"]:.1f}',
        )  # fmt: skip
    Console().print(table)


def timed(function: Callable[[], object], runs: int, warm_up: int = 5) -> list[float]:
    """Return the durations of calls [ms], after some that are not counted."""
    for _ in range(warm_up):
        function()
    durations = []
    for _ in range(runs):
        start_s = time.perf_counter()
        function()
        durations.append(1000 * (time.perf_counter() - start_s))
    return durations


def percentiles(durations: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99."""
    return {f'p{q}': round(float(np.percentile(durations, q)), 3) for q in (50, 95, 99)}
