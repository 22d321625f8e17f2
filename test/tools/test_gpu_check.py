# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
from pathlib import Path
import subprocess
import sys
import tarfile
from typing import Any

from cuda_on_cpu import Graph
from cuda_on_cpu import pretend
import gpu_check
from gpu_child import Outcome
from gpu_child import run_child
from gpu_report import markdown
import pytest
import torch

from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference.engine import Task

gpu_bench = gpu_check.gpu_bench
SIZE = (128, 192)
SCRIPT = Path(gpu_check.__file__)


@pytest.mark.slow
def test_every_step_runs_without_a_gpu_and_says_that_none_was_there(tmp_path: Path) -> None:
    pytest.importorskip('pytorch_lightning')
    out = tmp_path / 'report'
    command = [sys.executable, str(SCRIPT), '--cpu', '--quick', '--output', str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / 'report.json').read_text())
    assert report['run_on'] == 'the CPU: nothing here was run on a GPU'
    steps = report['steps']
    assert list(steps) == ['machine', 'tests', 'bench', 'drills', 'soak', 'training']
    (rows,) = steps['bench']['sizes'].values()
    assert all(row['p50_ms'] > 0 and row['agreement'] >= 0.999 for row in rows.values())
    assert steps['bench']['targets'] == []
    assert all(value > 0 for value in steps['bench']['six_cameras_ms'].values())
    assert steps['drills']['drills']['engine']['agreement'] >= 0.995
    assert (out / 'training' / 'last.safetensors').is_file()
    text = (out / 'report.md').read_text()
    assert 'nothing here was run on a GPU' in text
    assert 'No target was measured.' in text


def rows(plain: float, graph: float, p99: float) -> dict[str, Any]:
    return {
        'plain eager f32': {'p50_ms': plain, 'p99_ms': plain},
        'torch half graph': {'p50_ms': graph, 'p99_ms': p99},
        'onnxruntime half': {'failed': 'no memory'},
    }


def test_misses_are_told() -> None:
    sizes = {'384x512': rows(9.0, 2.0, 2.5), '512x1024': rows(9.0, 4.0, 8.0), '1x1': {}}
    found = list(gpu_check.targets(sizes))
    assert [target['is_met'] for target in found] == [True, True, False, False]
    assert [target['measured'] for target in found] == [4.5, 1.25, 2.25, 2.0]
    bench = {
        'status': 'done', 'step_seconds': 1.0, 'sizes': sizes, 'targets': found,
        'out of time for': ['1024x2048'],
    }  # fmt: skip
    text = markdown({'run_on': 'a GPU', 'is_quick': False, 'steps': {'bench': bench}})
    assert text.count('MISSED') == 2
    assert '| onnxruntime half | no memory |' in text
    assert 'Out of time for 1024x2048.' in text


def test_what_was_not_measured_is_not_met(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = list(gpu_check.targets({'384x512': rows(9.0, 2.0, 2.5)}))
    assert [target['is_met'] for target in found] == [True, True, False, False]
    assert [target['measured'] for target in found[2:]] == [None, None]
    monkeypatch.setattr(gpu_check.gpu_bench, 'measure', lambda *_, **__: {})
    monkeypatch.setattr(gpu_check.gpu_bench, 'batches', lambda *_: {})
    steps = gpu_check.run(options(tmp_path, cpu=False, only=['bench']))['steps']
    assert steps['bench']['status'] == 'missed'
    assert (tmp_path / 'report.md').read_text().count('NOT MEASURED') == 4


def options(output: Path, **changes: Any) -> argparse.Namespace:
    known = {'data': None, 'cpu': True, 'quick': True, 'only': None, 'tensorrt': False}
    return argparse.Namespace(output=output, **{**known, **changes})


def child(said: str, status: int | None = 0) -> Outcome:
    return Outcome(exit_status=status, seconds=1.0, said=said)


@pytest.mark.parametrize(
    ('said', 'exit_status', 'on_cpu', 'status'),
    [
        ('7 passed, 2 skipped, 90 deselected in 8.10s', 0, False, 'done'),
        ('1 failed, 6 passed in 8.10s', 1, False, 'missed'),
        ('9 skipped, 90 deselected in 8.10s', 0, False, 'missed'),
        ('9 skipped, 90 deselected in 8.10s', 0, True, 'done'),
        ('test_gpu.py .....', None, False, 'missed'),
    ],
)
def test_tests_that_nobody_ran_are_no_success(
    said: str,
    exit_status: int | None,
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    on_cpu: bool,
) -> None:
    monkeypatch.setattr(gpu_check, 'run_child', lambda *_: child(said, exit_status))
    step = gpu_check.run(options(tmp_path, cpu=on_cpu, only=['tests']))['steps']['tests']
    assert step['status'] == status
    assert step['said'] == said
    assert step['passed'] == (7 if '7 p' in said else 6 if '6 p' in said else 0)


def test_child_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code = (
        'import subprocess, sys; print("begun", flush=True); '
        'subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])'
    )
    outcome = run_child([sys.executable, '-c', code], 2.0, tmp_path, {})
    assert outcome.exit_status is None
    assert outcome.seconds < 20
    assert outcome.report()['exit_status'] == 'out of time'
    assert outcome.said == 'begun\n'


def test_a_drill_that_ends_badly_does_not_keep_the_next_from_being_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([child('aborted', -6), child('{"agreement": 1.0, "seconds": 0.2}')])
    monkeypatch.setattr(gpu_check, 'run_child', lambda *_: next(said))
    step = gpu_check.run(options(tmp_path, cpu=False, only=['drills']))['steps']['drills']
    assert step['status'] == 'missed'
    assert step['drills']['assertion']['exit_status'] == -6
    assert step['drills']['memory']['agreement'] == 1.0


def test_training_that_is_out_of_time_leaves_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], limit_s: float, *_: Any) -> Outcome:
        asked.append(command)
        if len(asked) == 1:
            assert limit_s <= gpu_check._TRAINING_S
            return child('Epoch 3', None)
        (tmp_path / 'training').mkdir()
        (tmp_path / 'training' / 'last.safetensors').touch()
        return child('')

    monkeypatch.setattr(gpu_check, 'run_child', run)
    step = gpu_check.run(options(tmp_path, only=['training']))['steps']['training']
    assert (step['status'], step['exit_status']) == ('done', 'out of time')
    assert step['checkpoint'] == 'last.safetensors'
    assert asked[1][-1] == str(tmp_path / 'training')
    compile(asked[1][-2], 'export', 'exec')


def test_machine_without_a_gpu_is_told_so_at_once(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip('there is CUDA here')
    out = tmp_path / 'report'
    command = [sys.executable, str(SCRIPT), '--output', str(out)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith('No GPU can be checked: ')
    assert '`--cpu` runs the same steps without one.' in done.stderr
    assert not out.exists()


def test_step_that_fails_does_not_keep_the_others_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(check: gpu_check.Check) -> dict[str, Any]:
        raise RuntimeError('a device assertion')

    monkeypatch.setattr(gpu_check.Check, 'bench', fail)
    monkeypatch.setattr(gpu_check.Check, 'drills', lambda check: {'is_well': False})
    monkeypatch.setattr(gpu_check.Check, 'soak', lambda check: {'is_well': True})
    steps = gpu_check.run(options(tmp_path, only=['bench', 'drills', 'soak']))['steps']
    assert [step['status'] for step in steps.values()] == ['failed', 'missed', 'done']
    assert json.loads((tmp_path / 'report.json').read_text())['steps'] == steps
    assert 'a device assertion' in (tmp_path / 'report.md').read_text()


def test_data_set_is_a_folder_or_a_tar_of_one(tmp_path: Path) -> None:
    (tmp_path / 'data' / 'camvid').mkdir(parents=True)
    archive = tmp_path / 'data.tar'
    with tarfile.open(archive, 'w') as file:
        file.add(tmp_path / 'data', 'sets')
    scratch = tmp_path / 'scratch'
    assert gpu_check.data_folder(archive, scratch) == scratch / 'sets'
    assert gpu_check.data_folder(tmp_path / 'data', scratch) == tmp_path / 'data'
    assert gpu_check.data_folder(None, scratch) is None
    with tarfile.open(archive, 'w') as file:
        file.add(SCRIPT, 'nothing')
    with pytest.raises(FileNotFoundError, match='no folder `camvid`'):
        gpu_check.data_folder(archive, tmp_path / 'other')


def test_variants_of_a_gpu_are_those_whose_libraries_load() -> None:
    checkpoint = load_checkpoint('fast')
    assert list(gpu_bench.variants(checkpoint, SIZE, 'cpu')) == ['plain eager f32', 'torch f32']
    if torch.cuda.is_available():
        pytest.skip('there is CUDA here')
    named = gpu_bench.variants(checkpoint, SIZE, 'cuda')
    assert list(named) == ['plain eager f32', 'torch f32', 'torch half eager']


def test_half_precision_without_a_graph_gives_the_networks_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = load_checkpoint('fast')
    task = Task(checkpoint, 1, SIZE, SIZE)
    frames = DriveScene(1, height=SIZE[0], width=SIZE[1]).frame(2.0).image[None]
    exact = gpu_bench.variants(checkpoint, SIZE, 'cpu')['plain eager f32']()(frames)
    pretend(monkeypatch)
    ids = gpu_bench._half_eager(task, 'cpu')(frames)
    assert Graph.num_replays == 0
    assert (ids == exact).mean() >= 0.995
