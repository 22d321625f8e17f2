# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Resident memory while a network runs: plain eager PyTorch beside the engine; and batches.

`peak` is the highest resident size of the process while frames are segmented, `growth` that less
the size before the network was loaded, all libraries imported. Each runs in a process of its own
that imports what it needs; the engine comes from the cache, as on every start but the first. The
batch of six cameras is compared with six calls of the same engine in one process.
"""

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time

import numpy as np

from hyperseg_core import Checkpoint
from hyperseg_core import load_checkpoint
from hyperseg_core.checkpoint import save_checkpoint
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.preparation import build_engine

_F32, _BF16 = (EngineSpec('openvino', 'cpu', precision) for precision in ('f32', 'bf16'))
_KINDS = {'engine': _F32, 'engine bf16': _BF16, 'eager': None}
_RUNS = 8


def _status_mib(field: str) -> float:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def _checkpoint(name: str) -> Checkpoint:
    from bench_engines import preset_checkpoint

    return load_checkpoint(name) if name == 'default' else preset_checkpoint(name)


def _save(name: str, folder: Path) -> Path:
    """Write a network's file, from which the measured processes load it as users do."""
    checkpoint = _checkpoint(name)
    return save_checkpoint(folder / f'{name}.safetensors', checkpoint.model, checkpoint.label_set)


def measure(file: str, kind: str) -> None:
    """Print this process's growth and peak [MiB]."""
    spec = _KINDS[kind]
    if spec is not None:
        from hyperseg_core.inference.engines.openvino import import_openvino

        import_openvino()  # before the start, as torch is
    else:
        from plain import PlainHyperSeg
        import torch
    before = _status_mib('VmRSS')
    checkpoint = load_checkpoint(file)
    size = checkpoint.config.size
    frames = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    if spec is not None:
        engine = build_engine(checkpoint, spec, batch=1, size=size, output_size=size)

        def run() -> object:
            return engine.run(frames)
    else:
        plain = PlainHyperSeg(checkpoint.model).eval()
        tensor = torch.from_numpy(frames)

        def run() -> object:
            with torch.inference_mode():
                return plain(tensor)

    Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
    for _ in range(_RUNS):
        run()
    peak = _status_mib('VmHWM')
    print(json.dumps({'growth': peak - before, 'peak': peak}))


def batch(name: str, count: int) -> dict[str, float]:
    """Time one call with a batch beside as many calls with one frame [ms]."""
    checkpoint = _checkpoint(name)
    size = checkpoint.config.size
    frames = np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)
    engines = {
        n: build_engine(checkpoint, _F32, batch=n, size=size, output_size=size) for n in (1, count)
    }
    times: dict[int, list[float]] = {n: [] for n in engines}
    for _ in range(_RUNS + 2):
        for n, engine in engines.items():
            start = time.perf_counter()
            for first in range(0, count, n):
                engine.run(frames[first : first + n])
            times[n].append(1000 * (time.perf_counter() - start))
    one, together = (float(np.median(times[n][2:])) for n in engines)
    return {'calls_ms': one, 'batch_ms': together, 'throughput_ratio': one / together}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--role', nargs=2, help=argparse.SUPPRESS)
    parser.add_argument('--models', nargs='*', default=['cityscapes-s', 'default'])
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    if options.role:
        measure(*options.role)
        return
    report: dict[str, object] = {'machine': describe_machine()}
    for name in options.models:
        found: dict[str, dict[str, float]] = {}
        with tempfile.TemporaryDirectory() as folder:
            file = _save(name, Path(folder))
            # The first run of an engine builds it.
            for kind in ('engine', 'engine', 'engine bf16', 'engine bf16', 'eager'):
                command = [sys.executable, __file__, '--role', str(file), kind]
                done = subprocess.run(
                    command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ
                )
                found[kind] = json.loads(done.stdout.splitlines()[-1])
        ratios = {
            kind: {key: value / found['eager'][key] for key, value in found[kind].items()}
            for kind in ('engine', 'engine bf16')
        }
        report[name] = {'mib': found, 'ratios': ratios}
        print(name, json.dumps(report[name]), flush=True)
    report['batch of 6, default'] = batch('default', 6)
    print('batch of 6, default', json.dumps(report['batch of 6, default']))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == '__main__':
    main()
