# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet label` while workers, driver and connection are killed at random moments.

    python benchmarks/fleet_chaos.py [--bags 100] [--kills 50] [--seed 0]

Labels the same bags twice, from and to an S3 server on this machine: once undisturbed, then with
SIGKILL for a worker, the driver (which is started again) or the connection to the server (which
comes back after some seconds), until there were so many. Both results are compared object by
object; a difference, or a bag that is missing or there twice, ends with status 1.
"""

import argparse
from collections import Counter
import json
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from fleet_storage import S3Server
import fsspec

from hyperseg_ros.bags.make import bag_make_command

_SIZE = (96, 128)
_KINDS = ('worker', 'driver', 'connection')


def make_bags(folder: Path, count: int, *, seconds: float, size: tuple[int, int]) -> None:
    """Make bags of rendered streets, a few different ones over and over."""
    for index in range(min(count, 10)):
        bag_make_command(
            folder / f'day{index % 2}' / f'run{index}', drive=seconds, seed=index, size=size
        )
    for index in range(10, count):
        source = folder / f'day{index % 2}' / f'run{index % 10}'
        target = folder / f'day{index % 2}' / f'run{index}'
        shutil.copytree(source, target)
        for path in target.glob('run*'):
            path.rename(path.with_name(path.name.replace(source.name, target.name)))
        text = (target / 'metadata.yaml').read_text()
        (target / 'metadata.yaml').write_text(text.replace(source.name, target.name))


class Driver:
    """`hyperseg fleet label` in a process that is killed and started again."""

    def __init__(self, source: str, out: str, environment: dict[str, str], log: Path) -> None:
        self._command = [
            sys.executable, '-m', 'hyperseg_ros.cli', 'fleet', 'label', source, out,
            '--checkpoint', 'fast', '--workers', '2', '--attempts', '20',
            '--scratch', str(log.parent / 'scratch'),
        ]  # fmt: skip
        self._environment, self._log = {**os.environ, **environment}, log
        self.start()

    def start(self) -> None:
        """Start it, again after it was killed."""
        with self._log.open('ab') as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment
            )

    def workers(self) -> list[int]:
        """Return the processes that label a bag just now, of any driver that is ours."""
        found = []
        for path in Path('/proc').glob('[0-9]*/cmdline'):
            try:
                if path.read_bytes().startswith(b'ray::label_one'):
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


def contents(filesystem: Any, root: str) -> dict[str, Any]:
    """Return what lies below a root: of data their ETags, of what says how long, the rest."""
    found: dict[str, Any] = {}
    for path, info in filesystem.find(root, detail=True).items():
        name = path[len(root) + 1 :]
        if name.endswith('labelling.json'):
            content = json.loads(filesystem.cat_file(path))
            for varying in ('seconds', 'attempt', 'host'):
                content['fleet'].pop(varying)
            found[name] = content
        elif name != 'fleet.jsonl':
            found[name] = info['ETag']
    return found


def disturb(driver: Driver, server: S3Server, dice: random.Random, kills: Counter[str]) -> None:
    """Kill something, of that which was killed least."""
    least = min(kills[kind] for kind in _KINDS)
    kind = dice.choice([kind for kind in _KINDS if kills[kind] == least])
    if kind == 'worker':
        workers = driver.workers()
        if not workers:
            return
        try:
            os.kill(dice.choice(workers), signal.SIGKILL)
        except ProcessLookupError:
            return
    elif kind == 'driver':
        driver.process.kill()
        driver.process.wait()
        driver.start()
    else:
        server.cut()
        time.sleep(dice.uniform(0.1, 3.0))
        server.connect()
    kills[kind] += 1


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bags', type=int, default=100)
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary, S3Server(Path(temporary)) as server:
        folder = Path(temporary)
        make_bags(folder / 'in', arguments.bags, seconds=0.3, size=_SIZE)
        os.environ.update(server.environment)
        filesystem = fsspec.filesystem('s3', use_listings_cache=False)
        filesystem.mkdir('fleet')
        filesystem.put(str(folder / 'in'), 'fleet/in', recursive=True)
        calm = Driver('s3://fleet/in', 's3://fleet/calm', server.environment, folder / 'calm.log')
        start_s = time.monotonic()
        if calm.process.wait():
            print((folder / 'calm.log').read_text())
            return 1
        print(f'undisturbed: {time.monotonic() - start_s:.0f} s')
        wanted = contents(filesystem, 'fleet/calm')
        kills: Counter[str] = Counter()
        rounds = failures = largest = 0
        while sum(kills.values()) < arguments.kills:
            rounds += 1
            out = f'fleet/storm{rounds}'
            log = folder / f'storm{rounds}.log'
            driver = Driver('s3://fleet/in', f's3://{out}', server.environment, log)
            while driver.process.poll() is None:
                scratch = folder / 'scratch'
                used = sum(p.stat().st_size for p in scratch.rglob('*') if p.is_file())
                largest = max(largest, used)
                time.sleep(dice.uniform(0.5, 6.0))
                if driver.process.poll() is None and sum(kills.values()) < arguments.kills:
                    disturb(driver, server, dice, kills)
                    print(f'round {rounds}: {dict(kills)}', flush=True)
            found = contents(filesystem, out)
            lines = filesystem.cat_file(f'{out}/fleet.jsonl').decode().splitlines()
            names = [json.loads(line)['name'] for line in lines]
            is_equal = found == wanted and len(set(names)) == len(names) == arguments.bags
            if driver.process.returncode or not is_equal:
                failures += 1
                print(log.read_text()[-3000:])
                both = found.keys() | wanted.keys()
                print([name for name in sorted(both) if found.get(name) != wanted.get(name)][:10])
            filesystem.rm(out, recursive=True)
        print(
            f'{sum(kills.values())} kills {dict(kills)} in {rounds} runs of {arguments.bags} bags'
        )
        print(f'runs with another result: {failures}; most scratch: {largest / 2**20:.1f} MiB')
        return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
