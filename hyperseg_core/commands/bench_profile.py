# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bench --profile`: what takes how long in one engine, in the engine's own words."""

import dataclasses
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import node_times
from hyperseg_core.inference.profile import NodeTimes
from hyperseg_core.inference.profile import Share
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import ids_size
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame

_SHOWN = 0.0005
"""Rows with a smaller share are shown as one; a file has them all."""


def profile(
    checkpoint: Checkpoint, spec: EngineSpec, frame_size: Size, size: Size | None, runs: int
) -> dict[str, Any]:
    """Run an engine as it is for frames of a size, print its tables, and return them.

    Args:
        checkpoint: The network.
        spec: The engine.
        frame_size: Height and width of the frames [px].
        size: Network input height and width [px]; None: it follows the frames.
        runs: Runs that count.

    Raises:
        ConfigError: If the engine cannot be asked, or the size does not fit the network.
        EngineError: If it cannot run.
    """
    network = network_size(frame_size, checkpoint.config, size)
    frame = DriveScene(1, height=frame_size[0], width=frame_size[1]).frame(2.0).image
    frames = np.ascontiguousarray(resize_frame(frame, network)[None])
    task = Task(checkpoint, 1, network, ids_size(frame_size, network))
    times = node_times(task, spec, frames, runs)
    _print(spec, times)
    return {
        'engine': str(spec),
        'network_size': list(network),
        'runs': runs,
        'run_ms': times.run_ms,
        'sum_ms': times.sum_ms,
        'moves_share': times.moves_share,
        'work': [dataclasses.asdict(share) for share in times.by_work()],
        'parts': [dataclasses.asdict(share) for share in times.by_part()],
    }


def _print(spec: EngineSpec, times: NodeTimes) -> None:
    console = Console()
    console.print(_table('kind of work', times.by_work()))
    if times.has_parts:
        console.print(_table('part of the network', times.by_part()))
    console.print(
        f'{spec}: {times.sum_ms:.2f} ms in nodes, of which {100 * times.moves_share:.1f} % only '
        f'move values; {times.run_ms:.2f} ms a run with the profile being kept.'
    )


def _table(title: str, shares: list[Share]) -> Table:
    table = Table(title)
    for heading in ('nodes', 'ms per run', 'share %'):
        table.add_column(heading, justify='right')
    shown = [share for share in shares if share.share >= _SHOWN]
    rest = [share for share in shares if share.share < _SHOWN]
    if rest:
        sums = (sum(getattr(share, key) for share in rest) for key in ('count', 'ms', 'share'))
        shown.append(Share(f'{len(rest)} more', *sums))
    for share in shown:
        table.add_row(
            share.name, f'{share.count:g}', f'{share.ms:.3f}', f'{100 * share.share:.1f}'
        )
    return table
