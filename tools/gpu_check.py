# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All that a machine with an NVIDIA GPU can tell of this package, in one command and 7 minutes.

    pip install '.[train,dev]'        # before, with a network; TensorRT and onnxruntime-gpu too
    python tools/gpu_check.py --output report [--data FOLDER_OR_TAR] [--tensorrt]

Writes report/report.json after every step and report/report.md at the end. A step that fails is
reported and the next one begins. `--cpu --quick` runs the same steps without a GPU, in CI.
`--data` holds `camvid/` and, if it is there, `streets/`; without it the training run is on
rendered streets.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import json
import os
from pathlib import Path
import sys
import tarfile
import tempfile
import time
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / 'benchmarks'):
    sys.path.insert(0, str(folder))

import gpu_bench
from gpu_child import Outcome
from gpu_child import counts_of_tests
from gpu_child import run_child
import gpu_drills
from gpu_report import markdown
import numpy as np
import torch

from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.drive import DriveScene
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.process_end import leave

SIZES = ((384, 512), (512, 1024), (768, 1536), (1024, 2048))
RECIPE = ROOT / 'config' / 'train' / 'default-cities-finish.yaml'
_MINUTES = 7
_BENCH_UNTIL_S = 210
"""When no further size is begun: drills, soak and training take the rest."""
_TRAINING_S, _EXPORT_S = 180.0, 30.0
"""When training ends whatever it has reached; writing the checkpoint of its last whole epoch."""
_EXPORT = """
import sys
from pathlib import Path
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.files.typed_yaml import read_yaml
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.export import export_run
run = Path(sys.argv[1])
export_run(run, build_dataclass(TrainConfig, read_yaml(run / 'config.yaml'), origin='the run'))
"""


class Check:
    """The steps, and what is known when each begins."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Take the command line."""
        self._options = options
        self._device = 'cpu' if options.cpu else 'cuda'
        self._quick = options.quick
        self._start_s = time.monotonic()
        self._output: Path = options.output
        self._checkpoint = load_checkpoint('fast' if options.quick else 'default')

    def steps(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return the steps by name, in order."""
        return {
            'machine': self.machine, 'tests': self.tests, 'bench': self.bench,
            'drills': self.drills, 'soak': self.soak, 'training': self.training,
        }  # fmt: skip

    def machine(self) -> dict[str, Any]:
        """Versions and bandwidth."""
        versions = {'torch CUDA': torch.version.cuda, 'cuDNN': torch.backends.cudnn.version()}
        return {
            **describe_machine(), **{key: str(value) for key, value in versions.items()},
            'bandwidth_gb_s': gpu_bench.bandwidth(self._device),
        }  # fmt: skip

    def tests(self) -> dict[str, Any]:
        """Run the tests that need a GPU; without one they are skipped, but collected."""
        command = [sys.executable, '-m', 'pytest', '-q', '-m', 'gpu', 'test/core/inference']
        command += ['-p', 'no:cacheprovider']
        if not self._options.tensorrt:
            command += ['-k', 'not tensorrt']
        done = self._child(command, 150)
        counts = counts_of_tests(done.said)
        is_well = done.exit_status == 0 and (self._options.cpu or counts['passed'] > 0)
        return {**done.report(), **counts, 'is_well': is_well}

    def bench(self) -> dict[str, Any]:
        """Time all variants at all sizes, and compare them with what was aimed at."""
        runs = 10 if self._quick else 200
        sizes = [(128, 192)] if self._quick else SIZES
        found: dict[str, Any] = {}
        left_out = []
        for size in sizes:
            name = f'{size[0]}x{size[1]}'
            if time.monotonic() - self._start_s > _BENCH_UNTIL_S:
                left_out.append(name)
                continue
            found[name] = gpu_bench.measure(
                self._checkpoint, size, self._device, runs, use_tensorrt=self._options.tensorrt
            )
        cameras = gpu_bench.batches(self._checkpoint, sizes[0], self._device, runs // 5)
        aims = [] if self._options.cpu else list(targets(found))
        return {
            'sizes': found, 'targets': aims, 'out of time for': left_out,
            'six_cameras_ms': cameras, 'is_well': all(aim['is_met'] for aim in aims),
        }  # fmt: skip

    def drills(self) -> dict[str, Any]:
        """Break an engine in child processes; a frame must be answered afterwards."""
        names = gpu_drills.ANYWHERE if self._options.cpu else gpu_drills.ON_GPUS
        found = {}
        engine = 'tensorrt' if self._options.tensorrt else 'torch'
        for name in names:
            done = self._child([sys.executable, 'tools/gpu_drills.py', name, engine], 60)
            lines = [line for line in done.said.splitlines() if line.startswith('{')]
            found[name] = json.loads(lines[-1]) if lines else done.report()
        is_well = all(
            item.get('agreement', 0) >= 0.995 and item.get('seconds', 99) <= 5
            for item in found.values()
        )
        return {'drills': found, 'is_well': is_well}

    def soak(self) -> dict[str, Any]:
        """Segment at full rate; memory must not grow."""
        count = 30 if self._quick else 2000
        arguments = ('torch', 'cuda') if not self._options.cpu else ('auto', 'cpu')
        segmenter = Segmenter(self._checkpoint, *arguments)
        scene = DriveScene(1, height=480, width=640)
        frames = [scene.frame(0.5 * index).image for index in range(4)]
        for frame in frames * 3:
            segmenter(frame)
        before = memory_mib(self._device)
        durations = []
        for index in range(count):
            start_s = time.perf_counter()
            segmenter(frames[index % len(frames)])
            durations.append(1000 * (time.perf_counter() - start_s))
        after = memory_mib(self._device)
        growth = {key: round(after[key] - before[key], 2) for key in before}
        return {
            'engine': str(segmenter.spec), **gpu_bench.percentiles(durations),
            'frames_per_s': round(1000 / float(np.mean(durations)), 1), 'growth_mib': growth,
            'is_well': growth.get('gpu', 0) <= 0,
        }  # fmt: skip

    def training(self) -> dict[str, Any]:
        """Train by the last recipe of `default`, in bf16; the checkpoint stays in the output."""
        run = self._output.resolve() / 'training'
        changes = {
            'output': str(run), 'model.initial_weights': 'default',
            'trainer.accelerator': 'cpu' if self._options.cpu else 'cuda',
            'trainer.precision': '32-true' if self._options.cpu else 'bf16-mixed',
            'trainer.num_workers': '0' if self._quick else '14',
            # Short epochs: each leaves a checkpoint.
            'trainer.epochs': '1' if self._quick else '16',
            'trainer.images_per_epoch': '4' if self._quick else '500',
            'trainer.batch_size': '2' if self._quick else '16',
        }  # fmt: skip
        with tempfile.TemporaryDirectory() as scratch:
            data = data_folder(self._options.data, Path(scratch))
            variables = {}
            if data is not None and (data / 'streets').is_dir():
                variables = {
                    'CAMVID_ROOT': str(data / 'camvid'), 'STREETS_ROOT': str(data / 'streets'),
                }  # fmt: skip
            else:
                source: dict[str, Any] = {'kind': 'drive', 'split': 'train'}
                if data is not None:
                    source = {'kind': 'camvid', 'split': 'train+val', 'root': str(data / 'camvid')}
                changes['data'] = json.dumps({'train': [source], 'val': None})
            words = [word for key, value in changes.items() for word in (f'--{key}', value)]
            code = 'from hyperseg_core.cli import main; main()'
            command = [sys.executable, '-c', code, 'train', '--config', str(RECIPE), *words]
            limit_s = min(_TRAINING_S, self._left_s() - _EXPORT_S)
            done = self._child(command, limit_s, variables)
            report = done.report()
            if done.exit_status is None:  # what the last whole epoch left
                words = [sys.executable, '-c', _EXPORT, str(run)]
                exported = self._child(words, _EXPORT_S, variables)
                report |= {'is_well': exported.exit_status == 0, 'export': exported.said[-300:]}
        file = run / 'last.safetensors'
        return {**report, 'checkpoint': file.name if file.is_file() else 'none'}

    def _left_s(self) -> float:
        return self._start_s + 60 * _MINUTES - time.monotonic()

    def _child(
        self, command: list[str], limit_s: float, variables: dict[str, str] | None = None
    ) -> Outcome:
        """Run a process in the repository."""
        paths = [str(ROOT), str(ROOT / 'benchmarks'), os.environ.get('PYTHONPATH', '')]
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths), **(variables or {})}
        return run_child(command, min(limit_s, self._left_s()), ROOT, environment)


def targets(sizes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Compare what was measured with what was aimed at; what was not measured is not met."""
    for size in ('384x512', '512x1024'):
        rows = sizes.get(size, {})
        plain, graph = rows.get(gpu_bench.PLAIN, {}), rows.get(gpu_bench.HALF_GRAPH, {})
        ratio = spread = None
        if 'p50_ms' in plain and 'p50_ms' in graph:
            ratio = round(plain['p50_ms'] / graph['p50_ms'], 2)
            spread = round(graph['p99_ms'] / graph['p50_ms'], 2)
        yield {
            'target': f'{size}: half graph at least 3 times as fast as plain eager f32',
            'measured': ratio, 'is_met': ratio is not None and ratio >= 3,
        }  # fmt: skip
        yield {
            'target': f'{size}: p99 of half graph at most 1.3 times its p50',
            'measured': spread, 'is_met': spread is not None and spread <= 1.3,
        }  # fmt: skip


def memory_mib(device: str) -> dict[str, float]:
    """Return the resident memory of this process, and what torch holds on the GPU."""
    lines = Path('/proc/self/status').read_text().splitlines()
    found = {'host': next(int(x.split()[1]) / 1024 for x in lines if x.startswith('VmRSS'))}
    if device != 'cpu':
        found['gpu'] = torch.cuda.memory_reserved() / 2**20
    return found


def data_folder(given: Path | None, scratch: Path) -> Path | None:
    """Return the folder of a data set that is given as such or as a tar archive."""
    if given is None or given.is_dir():
        return given
    with tarfile.open(given) as archive:
        archive.extractall(scratch, filter='data')
    inner = [path for path in scratch.rglob('camvid') if path.is_dir()]
    if not inner:
        msg = f'{given} holds no folder `camvid`.'
        raise FileNotFoundError(msg)
    return inner[0].parent


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the steps; the report is written after each."""
    check = Check(options)
    where = 'the CPU: nothing here was run on a GPU' if options.cpu else 'a GPU'
    report: dict[str, Any] = {'run_on': where, 'is_quick': options.quick, 'steps': {}}
    options.output.mkdir(parents=True, exist_ok=True)
    for name, step in check.steps().items():
        if options.only and name not in options.only:
            continue
        start_s = time.monotonic()
        try:
            outcome = step()
            outcome = {'status': 'done' if outcome.get('is_well', True) else 'missed', **outcome}
        except Exception as error:  # the next step can still tell something
            outcome = {'status': 'failed', 'reason': str(error) or type(error).__name__}
        outcome['step_seconds'] = round(time.monotonic() - start_s, 1)
        report['steps'][name] = outcome
        print(f'{name}: {outcome["status"]} after {outcome["step_seconds"]} s', flush=True)
        write_atomically(options.output / 'report.json', json.dumps(report, indent=2).encode())
    write_atomically(options.output / 'report.md', markdown(report).encode())
    return report


def main() -> int:
    """Run the command line; 1 if a step failed or something is not well, 2 without a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--output', type=Path, default=Path('gpu_report'))
    parser.add_argument('--data', type=Path, help='folder or tar of camvid/ and streets/')
    parser.add_argument('--cpu', action='store_true', help='run without a GPU')
    parser.add_argument('--quick', action='store_true', help='small sizes, few runs')
    parser.add_argument('--only', nargs='+', help='names of steps')
    parser.add_argument(
        '--tensorrt', action='store_true', help='TensorRT too, which builds for minutes'
    )
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        reason = driver_state().absence or f'PyTorch {torch.__version__} does not reach it'
        print(
            f'No GPU can be checked: {reason}. `--cpu` runs the same steps without one.',
            file=sys.stderr,
        )
        return 2
    report = run(options)
    return int(any(step['status'] != 'done' for step in report['steps'].values()))


if __name__ == '__main__':
    leave(main())
