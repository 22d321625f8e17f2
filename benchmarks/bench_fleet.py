# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet label` against one process that labels the same bags: rate, overhead, memory.

    python benchmarks/bench_fleet.py [--bags 100] [--workers 2] [--rounds 3]

In each round one process (`hyperseg bag label`, one thread) labels a share of the bags, then the
fleet all of them, so that both meet the same machine. What a fleet's start costs is told apart:
it is paid once.
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


def _run(*words: object, **environment: str) -> float:
    """Run a command of ours; returns how long it took [s]."""
    start_s = time.monotonic()
    command = [sys.executable, '-m', 'hyperseg_ros', *map(str, words)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, done.stderr)
        sys.exit(1)
    return time.monotonic() - start_s


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
    share = max(1, arguments.bags // (3 * arguments.workers))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_bags(folder / 'in', arguments.bags, seconds=arguments.seconds, size=_SIZE)
        some = sorted(folder.glob('in/*/run*'))[:share]
        for number in range(arguments.rounds):
            alone, fleet = folder / 'alone', folder / 'fleet'
            one = _run('bag', 'label', some[0], folder / 'first', OMP_NUM_THREADS='1')
            alone_s = _run('bag', 'label', *some, alone, OMP_NUM_THREADS='1')
            # The process's own start is not a bag's: one bag more is one bag's time more.
            per_bag_s = (alone_s - one) / (share - 1) if share > 1 else alone_s
            fleet_s = _run(
                'fleet', 'label', folder / 'in', fleet, '--workers', arguments.workers,
                '--scratch', folder / 'scratch',
            )  # fmt: skip
            lines = [json.loads(line) for line in (fleet / 'fleet.jsonl').open()]
            _tell(number, lines, per_bag_s, fleet_s, arguments.workers, fleet)
            for made in (alone, fleet, folder / 'first'):
                shutil.rmtree(made)


def _tell(
    number: int,
    lines: list[dict[str, object]],
    per_bag_s: float,
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
        f'round {number}: one process {1 / per_bag_s:.2f} bags/s, fleet of {workers} '
        f'{rate:.2f} bags/s: {rate * per_bag_s / workers:.3f} of {workers} processes; '
        f'with its start {len(lines) / fleet_s:.2f} bags/s; a bag: {per_bag_s:.2f} s alone, '
        f'{labelled_s / len(lines):.2f} s in the fleet, beside it {idle_s:.3f} s '
        f'(stages {max(others, default=0.0):.3f} s at most); '
        f'{_num_images(out)} images; peak of a worker {peak / _MIB:.0f} MiB',
        flush=True,
    )


if __name__ == '__main__':
    main()
