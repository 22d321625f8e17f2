# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Our checkpoints beside peers' exported networks, whole path, in turns.

A folder holds the peers as a user exports them (docs/peers.md); each is brought to the whole path
from a uint8 frame to uint8 ids by nodes around it (peer_graphs.py) and told the same options of
the engine as ours are. Within a row of the table every network runs in turn, again and again, so
that what else the machine does hits all alike: compare within a row. The turns
count in which other processes took the least of the CPUs. Ours give a confidence, too.
"""

import argparse
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
import functools
import json
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
from peer_graphs import PeerError
from peer_graphs import whole_path

from hyperseg_core import Checkpoint
from hyperseg_core import load_checkpoint
from hyperseg_core.commands.bench import timed
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.drive import DriveScene
from hyperseg_core.errors import HyperSegError
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import graph_engine
from hyperseg_core.inference.engines.onnxruntime import import_onnxruntime
from hyperseg_core.inference.engines.onnxruntime import session_options
from hyperseg_core.inference.engines.openvino import import_openvino
from hyperseg_core.inference.engines.openvino import openvino_options
from hyperseg_core.inference.machine import this_machine
from hyperseg_core.inference.preparation import serialised_graph
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import ids_size
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame

Runner = Callable[[], np.ndarray]
"""Segments the frame that it was made with; returns (H, W) uint8."""
TITLES = {
    EngineSpec('openvino', 'cpu', 'f32'): 'OpenVINO float32',
    EngineSpec('openvino', 'cpu', 'bf16'): 'OpenVINO bfloat16',
    EngineSpec('onnxruntime', 'cpu', 'f32'): 'ONNX Runtime float32',
}
WARM_UP = 5
RUNS_A_TURN = 3
PAUSE_S = 0.02
"""Before a turn: ONNX Runtime's threads spin for some milliseconds after they have worked."""
QUIET = 0.05
"""Turns in which other processes take no more of the CPUs than this are good."""


@dataclass(frozen=True)
class Turn:
    """Some runs of one network."""

    durations: list[float]
    """[ms]"""
    others: float
    """The share of the CPUs that other processes took meanwhile, 0 to 1."""


def our_runner(checkpoint: Checkpoint, spec: EngineSpec, frame: np.ndarray) -> Runner:
    """Make an engine as the node does for frames of a size; it resizes them where it must."""
    frame_size = frame.shape[:2]
    size = network_size(frame_size, checkpoint.config)
    task = Task(checkpoint, 1, size, ids_size(frame_size, size))
    engine = graph_engine(spec.name)(serialised_graph(task, spec), spec, NoFiles())
    if size == frame_size:
        return lambda: engine.run(frame[None])[0][0]
    return lambda: engine.run(resize_frame(frame, size)[None])[0][0]


def peer_runner(graph: bytes, spec: EngineSpec, frame: np.ndarray) -> Runner:
    """Make an engine of a peer's whole path with the options that ours have."""
    frames = np.ascontiguousarray(frame[None])
    if spec.name == 'onnxruntime':
        onnxruntime = import_onnxruntime()
        session = onnxruntime.InferenceSession(
            graph, session_options(onnxruntime), providers=['CPUExecutionProvider']
        )
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: frames})[0][0]
    core = import_openvino().Core()
    model = core.compile_model(core.read_model(graph), 'CPU', openvino_options(spec))
    request = model.create_infer_request()
    given = request.get_input_tensor(0).data

    def run() -> np.ndarray:  # as our engine does
        np.copyto(given, frames)
        request.infer(share_outputs=True)
        return request.get_output_tensor(0).data[0].copy()

    return run


def read_peers(folder: Path, size: Size) -> dict[str, bytes]:
    """Return the graphs of the files in a folder that fit; the others are named with the reason.

    Raises:
        SystemExit: If the folder has no ONNX files.
    """
    paths = sorted(folder.glob('*.onnx'))
    if not paths:
        msg = f'No *.onnx in {str(folder)!r}; docs/peers.md says how they are exported.'
        raise SystemExit(msg)
    graphs = {}
    for path in paths:
        try:
            graphs[path.stem] = whole_path(path, size)
        except PeerError as error:
            print(f'Skipped {path.name}: {error}', flush=True)
    return graphs


def taken_by_others() -> Callable[[], float]:
    """Return a function that says which share of the CPUs others have taken since now, 0 to 1."""

    def busy_s() -> float:
        with open('/proc/stat', encoding='utf-8') as file:
            user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
        return (user + nice + system + sum(rest)) / os.sysconf('SC_CLK_TCK')

    start_s, own_s, all_s = time.perf_counter(), time.process_time(), busy_s()

    def share() -> float:
        others_s = busy_s() - all_s - (time.process_time() - own_s)
        return max(others_s, 0) / ((time.perf_counter() - start_s) * (os.cpu_count() or 1))

    return share


def started(makers: Mapping[str, Callable[[], Runner]], size: Size) -> dict[str, Runner]:
    """Make runners and warm them up; those that an engine does not take are named."""
    runners = {}
    for name, maker in makers.items():
        try:
            runner = maker()
            found = runner()
        except Exception as error:  # engines raise classes of their own
            print(f'Skipped {name}: {str(error).splitlines()[0]}', flush=True)
            continue
        assert (found.shape, found.dtype) == (size, np.uint8), name
        for _ in range(WARM_UP):
            runner()
        runners[name] = runner
    return runners


def timed_turn(runner: Runner) -> Turn:
    """Let one network run a few times."""
    time.sleep(PAUSE_S)
    runner()  # brings its weights back into the cache
    others_share = taken_by_others()
    return Turn(timed(runner, RUNS_A_TURN, 0), others_share())


def row(runners: Mapping[str, Runner], runs: int, patience_s: float) -> dict[str, Any]:
    """Time networks in turns, and keep each one's turns in which others took the least."""
    wanted = -(-runs // RUNS_A_TURN)
    turns: dict[str, list[Turn]] = {name: [] for name in runners}
    end_s = time.monotonic() + patience_s
    rounds = 0
    while rounds < wanted or (
        time.monotonic() < end_s
        and any(sum(turn.others <= QUIET for turn in found) < wanted for found in turns.values())
    ):
        rounds += 1
        for name, runner in runners.items():
            turns[name].append(timed_turn(runner))
    networks = {}
    for name, found in turns.items():
        kept = sorted(found, key=lambda turn: turn.others)[:wanted]
        durations = [ms for turn in kept for ms in turn.durations]
        networks[name] = {
            'min_ms': min(durations),
            'median_ms': float(np.median(durations)),
            'taken_by_others': float(np.mean([turn.others for turn in kept])),
        }
    return {'rounds': rounds, 'kept': wanted, 'networks': networks}


def render(rows: Mapping[str, Mapping[str, Any]], ours: list[str], peers: list[str]) -> str:
    """Return the tables in Markdown: milliseconds, then ours as multiples of peers'."""
    names = [*ours, *peers]
    lines = [
        f'| min / median ms | {" | ".join(names)} | CPUs taken by others, turns kept |',
        f'| --- |{" --- |" * (len(names) + 1)}',
    ]
    for title, found in rows.items():
        cells = [found['networks'].get(name) for name in names]
        shown = [
            f'{cell["min_ms"]:.1f} / {cell["median_ms"]:.1f}' if cell else '-' for cell in cells
        ]
        others = max((cell['taken_by_others'] for cell in cells if cell), default=0)
        share = f'{100 * others:.0f} %, {found["kept"]} of {found["rounds"]}'
        lines.append(f'| {title} | {" | ".join(shown)} | {share} |')
    pairs = [(mine, peer) for mine in ours for peer in peers]
    headings = [f'{mine} / {peer}' for mine, peer in pairs]
    lines += [
        '',
        f'| ratio of minima (of medians) | {" | ".join(headings)} |',
        f'| --- |{" --- |" * len(headings)}',
    ]
    for title, found in rows.items():
        cells = found['networks']
        shown = [ratio(cells.get(mine), cells.get(peer)) for mine, peer in pairs]
        lines.append(f'| {title} | {" | ".join(shown)} |')
    return '\n'.join(lines)


def ratio(mine: Mapping[str, float] | None, peer: Mapping[str, float] | None) -> str:
    """Return one cell of the second table."""
    if mine is None or peer is None:
        return '-'
    minima, medians = (mine[key] / peer[key] for key in ('min_ms', 'median_ms'))
    return f'{minima:.2f} ({medians:.2f})'


def positive(word: str) -> int:
    """Read a count or size.

    Raises:
        ValueError: If it is not 1 or more.
    """
    if int(word) < 1:
        raise ValueError(word)
    return int(word)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help="peers' ONNX files")
    parser.add_argument('--models', nargs='+', default=['default', 'fast'])
    parser.add_argument(
        '--size', nargs=2, type=positive, default=(384, 512), help='of frames [px]'
    )
    parser.add_argument('--runs', type=positive, default=60, help='that count, for each cell')
    parser.add_argument(
        '--patience', type=float, default=60, help='for each row, until others are quiet [s]'
    )
    parser.add_argument('--output', type=Path, help='Markdown; JSON is put beside it')
    options = parser.parse_args()
    size = (options.size[0], options.size[1])
    graphs = read_peers(options.folder, size)
    try:
        checkpoints = {Path(name).stem: load_checkpoint(name) for name in options.models}
    except (HyperSegError, OSError) as error:
        parser.error(str(error))
    frame = DriveScene(1, height=size[0], width=size[1]).frame(2.0).image
    rows = {}
    for spec, title in TITLES.items():
        if spec.precision == 'bf16' and not this_machine().has_bf16:
            print(f'Left out {title}: this CPU does not multiply it in hardware.', flush=True)
            continue
        makers: dict[str, Callable[[], Runner]] = {
            name: functools.partial(our_runner, checkpoint, spec, frame)
            for name, checkpoint in checkpoints.items()
        }
        for name, graph in graphs.items():
            makers[name] = functools.partial(peer_runner, graph, spec, frame)
        rows[title] = row(started(makers, size), options.runs, options.patience)
    sizes = {
        name: network_size(size, checkpoint.config) for name, checkpoint in checkpoints.items()
    }
    machine = describe_machine()
    table = render(rows, [*checkpoints], [*graphs])
    told = ', '.join(f'{name} runs at {h} x {w} px' for name, (h, w) in sizes.items())
    text = (
        f'{table}\n\nFrames of {size[0]} x {size[1]} px; {told}; {options.runs} runs for '
        f'each figure, in turns of {RUNS_A_TURN}; '
        f'{", ".join(f"{key} {value}" for key, value in machine.items())}.\n'
    )
    print(text)
    if options.output:
        report = {'machine': machine, 'size': size, 'network_sizes': sizes, 'rows': rows}
        write_atomically(options.output, text.encode())
        write_atomically(
            options.output.with_suffix('.json'), json.dumps(report, indent=2).encode()
        )


if __name__ == '__main__':
    main()
