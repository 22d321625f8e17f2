# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path

import numpy as np
from old_checkpoint import write_version_1
import pytest

from hyperseg_core import Checkpoint
from hyperseg_core import EngineError
from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.inference import preparation
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.parity import answers_of
from hyperseg_core.inference.parity import gate_images

ENGINES = ('torch', 'onnxruntime', 'openvino')
OWN = (128, 192)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(preparation, '_passed', set())


@pytest.fixture
def checkpoint(small_checkpoint: Path) -> Checkpoint:
    return load_checkpoint(small_checkpoint)


@pytest.fixture
def old(small_checkpoint: Path, tmp_path: Path) -> Checkpoint:
    return load_checkpoint(write_version_1(small_checkpoint, tmp_path / 'old.safetensors'))


class Liar:
    """An engine that is wrong from a given size on."""

    def __init__(self, engine: Engine, *, has_nan: bool, min_rows: int = 0) -> None:
        self._engine, self._has_nan, self._min_rows = engine, has_nan, min_rows

    def run(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ids, confidence = self._engine.run(frames)
        if ids.shape[1] < self._min_rows:
            return ids, confidence
        if self._has_nan:
            return ids, np.zeros_like(confidence)
        return (ids + 1) % 11, confidence

    def close(self) -> None:
        self._engine.close()


def let_lie(
    monkeypatch: pytest.MonkeyPatch, precisions: tuple[str, ...], **options: object
) -> None:
    """Make OpenVINO wrong in some precisions."""
    pytest.importorskip('openvino')
    good = preparation.graph_engine

    def make(name: str) -> object:
        def build(graph: bytes, spec: EngineSpec, files: object) -> Engine:
            engine = good(name)(graph, spec, files)  # type: ignore[arg-type]
            is_liar = name == 'openvino' and spec.precision in precisions
            return Liar(engine, **options) if is_liar else engine  # type: ignore[arg-type]

        return build

    monkeypatch.setattr(preparation, 'graph_engine', make)


@pytest.mark.parametrize('name', ENGINES)
def test_float32_engine_gives_the_stored_answers(name: str, checkpoint: Checkpoint) -> None:
    if name != 'torch':
        pytest.importorskip(name)
    task = Task(checkpoint, 1, OWN, OWN)
    spec = EngineSpec(name, 'cpu', 'f32')  # type: ignore[arg-type]
    engine = preparation.prepare(task, spec)
    ids, confidence = answers_of(engine, gate_images(task), 1)
    frames = checkpoint.frames()
    assert len(frames) == 2
    for index, frame in enumerate(frames):
        assert (ids[index] == frame.class_ids).mean() >= 0.999
        assert np.abs(confidence[index].astype(int) - frame.confidence).max() <= 2


@pytest.mark.parametrize(
    ('has_nan', 'match'),
    [(False, r' 0\.0000% of the pixels agree'), (True, r'[1-9]\d* have no prob')],
)
@pytest.mark.parametrize('size', [OWN, (192, 192)])
def test_engine_that_disagrees_or_yields_nan_is_refused(
    size: tuple[int, int], *, has_nan: bool, match: str, checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    let_lie(monkeypatch, ('f32',), has_nan=has_nan)
    with pytest.raises(EngineError, match=match):
        preparation.prepare(Task(checkpoint, 1, size, size), EngineSpec('openvino', 'cpu', 'f32'))


def test_nan_at_another_size_is_refused(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_lie(monkeypatch, ('f32',), has_nan=True, min_rows=200)
    spec = EngineSpec('openvino', 'cpu', 'f32')
    preparation.prepare(Task(checkpoint, 1, OWN, OWN), spec)
    with pytest.raises(EngineError, match='computes no probability for'):
        preparation.prepare(Task(checkpoint, 1, OWN, (256, 384)), spec)


def test_next_engine_is_taken_with_the_figures_logged(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    let_lie(monkeypatch, ('f32',), has_nan=False)
    segmenter = Segmenter(small_checkpoint, 'auto', 'cpu')
    assert segmenter.spec.name != 'openvino'
    assert 'openvino on cpu, f32 disagrees with PyTorch on stored frames: 0.0000%' in caplog.text


def test_other_precision_is_compared_with_float32_at_its_own_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Trained weights: in bfloat16, random ones agree with nothing.
    checkpoint = load_checkpoint('fast')
    let_lie(monkeypatch, ('bf16',), has_nan=False, min_rows=300)
    spec, own = EngineSpec('openvino', 'cpu', 'bf16'), checkpoint.config.size
    preparation.prepare(Task(checkpoint, 1, own, own), spec)
    with pytest.raises(EngineError, match='bf16 disagrees with openvino on cpu, f32'):
        preparation.prepare(Task(checkpoint, 1, own, (360, 480)), spec)


def test_size_is_gated_once_at_the_stored_frames_own(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('openvino')
    sizes = []
    good = preparation._open
    monkeypatch.setattr(
        preparation, '_open', lambda *a: (sizes.append(a[0].output_size), good(*a))[1]
    )
    spec = EngineSpec('openvino', 'cpu', 'f32')
    for output in ((90, 120), (100, 150)):
        preparation.prepare(Task(checkpoint, 1, OWN, output), spec).close()
    assert sizes == [(90, 120), OWN, (100, 150)]


def test_batches_are_filled_up(checkpoint: Checkpoint) -> None:
    pytest.importorskip('openvino')
    task = Task(checkpoint, 3, OWN, OWN)
    engine = preparation.prepare(task, EngineSpec('openvino', 'cpu', 'f32'))
    ids, confidence = answers_of(engine, gate_images(task), 3)
    assert ids.shape == confidence.shape == (2, *OWN)


def test_old_checkpoint_is_checked_against_another_engine(
    old: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old.frames() == ()
    task, spec = Task(old, 1, OWN, OWN), EngineSpec('openvino', 'cpu', 'f32')
    let_lie(monkeypatch, ('f32',), has_nan=False)
    with pytest.raises(EngineError, match=r'disagrees with torch on cpu, f32'):
        preparation.prepare(task, spec)
    monkeypatch.setattr(preparation, 'is_installed', lambda name: name != 'torch')
    with pytest.raises(EngineError, match=r'disagrees with onnxruntime on cpu, f32'):
        preparation.prepare(task, spec)


def test_old_checkpoint_alone_with_one_engine_is_noted(
    old: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('openvino')
    monkeypatch.setattr(preparation, 'is_installed', lambda name: name == 'openvino')
    preparation.prepare(Task(old, 1, OWN, OWN), EngineSpec('openvino', 'cpu', 'f32'))
    assert 'only checked for NaN. `hyperseg annotate` puts frames into it' in caplog.text


def test_stored_answers_that_were_changed_refuse_every_engine(checkpoint: Checkpoint) -> None:
    pytest.importorskip('openvino')
    frames = tuple(
        dataclasses.replace(frame, class_ids=(frame.class_ids + 1) % 11)
        for frame in checkpoint.frames()
    )

    class Contents:
        tensors, network = checkpoint.contents.tensors, checkpoint.contents.network

        def frames(self) -> object:
            return frames

    changed = dataclasses.replace(checkpoint, contents=Contents())  # type: ignore[arg-type]
    for name in ('openvino', 'torch'):
        with pytest.raises(EngineError, match='disagrees with PyTorch'):
            preparation.prepare(Task(changed, 1, OWN, OWN), EngineSpec(name, 'cpu', 'f32'))
