# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet label` against one process that labels the same bags: rate, overhead, memory.

    python benchmarks/bench_fleet.py [--bags 100] [--workers 2] [--rounds 3]

In each round one process (`hyperseg bag label`, one thread) labels a share of the bags, then as
many at once as the fleet has workers, then the fleet labels all, so that each meets the same
machine: two processes are seldom twice as fast as one where they share caches and memory. What a
start costs is told apart, as it is paid once.
"""

import argparse
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time

from fleet_chaos import make_bags

_SIZE = (480, 640)
_MIB = 2**20


def _run(*commands: list[object]) -> float:
    """Run commands of ours at once; returns how long they took [s]."""
    start_s = time.monotonic()
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    running = [
        subprocess.Popen(
            [sys.executable, '-m', 'hyperseg_ros', *map(str, words)],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for words in commands
    ]  # fmt: skip
    if any([process.wait() for process in running]):
        print('failed:', *commands)
        sys.exit(1)
    return time.monotonic() - start_s


def _bags_per_s(bags: list[Path], num_processes: int, folder: Path) -> float:
    """Return the rate of so many processes at once, without their start."""
    times = []
    for count in (1, len(bags)):
        commands: list[list[object]] = [
            ['bag', 'label', *bags[:count], folder / f'alone{number}']
            for number in range(num_processes)
        ]
        times.append(_run(*commands))
        for number in range(num_processes):
            shutil.rmtree(folder / f'alone{number}')
    return num_processes * (len(bags) - 1) / (times[1] - times[0])


def _num_images(folder: Path) -> int:
    return sum(json.loads(p.read_text())['labelled'] for p in folder.rglob('labelling.json'))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bags', type=int, default=100)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=1.0, help='of each bag, at 30 Hz')
    arguments = parser.parse_args()
    share = max(3, arguments.bags // (3 * arguments.workers))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_bags(folder / 'in', arguments.bags, seconds=arguments.seconds, size=_SIZE)
        some = sorted(folder.glob('in/*/run*'))[:share]
        for number in range(arguments.rounds):
            fleet = folder / 'fleet'
            one = _bags_per_s(some, 1, folder)
            several = _bags_per_s(some, arguments.workers, folder)
            fleet_s = _run(
                ['fleet', 'label', folder / 'in', fleet, '--workers', arguments.workers,
                 '--scratch', folder / 'scratch'],
            )  # fmt: skip
            lines = [json.loads(line) for line in (fleet / 'fleet.jsonl').open()]
            _tell(number, lines, one, several, fleet_s, arguments.workers, fleet)
            shutil.rmtree(fleet)


def _tell(
    number: int,
    lines: list[dict[str, object]],
    one: float,
    several: float,
    fleet_s: float,
    workers: int,
    out: Path,
) -> None:
    by_worker: dict[int, list[dict[str, float]]] = {}
    for line in lines:
        by_worker.setdefault(int(str(line['pid'])), []).append(dict(line['seconds']))  # type: ignore[call-overload]
    spans = [path.stat().st_mtime for path in out.rglob('labelling.json')]
    # From the first bags' ends to the last's: what the bags after the first took.
    steady_s = max(spans) - sorted(spans)[workers - 1]
    rate = (len(lines) - workers) / steady_s
    others = [
        sum(seconds.values()) - seconds['label']
        for bags in by_worker.values()
        for seconds in bags[1:]
    ]
    labelled_s = sum(seconds['label'] for bags in by_worker.values() for seconds in bags)
    idle_s = workers * steady_s / max(1, len(lines) - workers) - labelled_s / len(lines)
    peak = max(int(str(line['peak_bytes'])) for line in lines)
    print(
        f'round {number}: one process {one:.2f} bags/s, {workers} at once {several:.2f}, fleet of '
        f'{workers} {rate:.2f}: {rate / several:.3f} of the processes, {rate / one / workers:.3f} '
        f'of {workers} times one; with its start {len(lines) / fleet_s:.2f} bags/s; a bag: '
        f'{labelled_s / len(lines):.2f} s in the fleet, beside it {idle_s:.3f} s '
        f'(stages {max(others, default=0.0):.3f} s at most); '
        f'{_num_images(out)} images; peak of a worker {peak / _MIB:.0f} MiB',
        flush=True,
    )


if __name__ == '__main__':
    main()
