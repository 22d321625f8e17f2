# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine that fails or is lost at run time, with stand-ins for TensorRT and the driver."""

from pathlib import Path
import time
from typing import Any

from fake_gpu import ILLEGAL_ADDRESS
from fake_gpu import NO_DEVICE
from fake_gpu import OUT_OF_MEMORY
from fake_gpu import FakeDriver
from fake_gpu import FakeTensorRt
import numpy as np
import pytest

from hyperseg_core import EngineError
from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference import cuda_driver
from hyperseg_core.inference import engine_pool
from hyperseg_core.inference import preparation
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine_pool import EnginePool
from hyperseg_core.inference.progress import BuildProgress
from hyperseg_core.inference.selection import Candidate

SIZE = (256, 384)


@pytest.fixture(autouse=True)
def _only_openvino_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip('openvino')


@pytest.fixture
def frame() -> np.ndarray:
    return DriveScene(3, height=SIZE[0], width=SIZE[1]).frame(1.0).image


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError('built although it should have been ready')


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == 'ERROR']


def test_lost_device_is_replaced_by_the_engine_that_stands_by(
    trt: FakeTensorRt,
    driver: FakeDriver,
    frame: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    segmenter = Segmenter('fast', fallback_ready=True)
    before = segmenter(frame)
    assert segmenter.spec.name == 'tensorrt'
    assert segmenter.loss == ''
    monkeypatch.setattr(engine_pool, 'build_engine', refuse)
    driver.codes['cuStreamSynchronize'] = ILLEGAL_ADDRESS
    start_s = time.monotonic()
    after = segmenter(frame)
    assert time.monotonic() - start_s < 5
    assert str(segmenter.spec) == 'openvino on cpu, f32'
    assert (after.class_ids == before.class_ids).mean() >= 0.998
    assert segmenter.is_ready(frame)
    segmenter(frame)
    assert errors(caplog) == [f'{segmenter.loss} openvino on cpu, f32 goes on.']
    assert 'tensorrt on cuda, f16 was lost' in segmenter.loss
    assert 'CUDA_ERROR_ILLEGAL_ADDRESS (700)' in segmenter.loss


def test_lost_device_is_replaced_in_time_where_nothing_stands_by(
    trt: FakeTensorRt, driver: FakeDriver, frame: np.ndarray
) -> None:
    segmenter = Segmenter('fast')
    driver.codes['cuStreamSynchronize'] = ILLEGAL_ADDRESS
    start_s = time.monotonic()
    segmenter(frame)
    assert time.monotonic() - start_s < 20  # a busy machine; docs/performance.md says how long
    # torch on cuda is not even tried.
    assert segmenter.spec.device == 'cpu'


def test_engine_that_was_asked_for_alone_has_a_fallback_only_if_asked(
    trt: FakeTensorRt, driver: FakeDriver, frame: np.ndarray
) -> None:
    alone, guarded = (
        Segmenter('fast', 'tensorrt', 'cuda', fallback_ready=ready) for ready in (False, True)
    )
    driver.codes['cuStreamSynchronize'] = ILLEGAL_ADDRESS
    with pytest.raises(EngineError, match='ILLEGAL_ADDRESS') as caught:
        alone(frame)
    assert caught.value.lost
    guarded(frame)
    assert guarded.spec.device == 'cpu'


def test_loss_reaches_who_does_not_want_another_engine(
    trt: FakeTensorRt, driver: FakeDriver, frame: np.ndarray
) -> None:
    segmenter = Segmenter('fast', fallback_ready=True, replaces_lost=False)
    driver.codes['cuStreamSynchronize'] = ILLEGAL_ADDRESS
    with pytest.raises(EngineError) as caught:
        segmenter(frame)
    assert caught.value.lost
    assert segmenter.spec.name == 'tensorrt'


def run_out(trt: FakeTensorRt, driver: FakeDriver, *, is_on: bool) -> None:
    driver.codes = {'cuStreamSynchronize': OUT_OF_MEMORY} if is_on else {}


def yield_nan(trt: FakeTensorRt, driver: FakeDriver, *, is_on: bool) -> None:
    trt.spoils = {'nan'} if is_on else set()


def not_run(trt: FakeTensorRt, driver: FakeDriver, *, is_on: bool) -> None:
    trt.spoils = {'run'} if is_on else set()


@pytest.mark.parametrize(
    ('spoil', 'match'),
    [
        (run_out, 'GPU is out of memory'),
        (yield_nan, f'computes no probability for {SIZE[0] * SIZE[1]} pixels'),
        (not_run, 'TensorRT does not run'),
    ],
)
def test_one_failure_is_one_frame_three_in_a_row_are_a_loss(
    spoil: Any, match: str, trt: FakeTensorRt, driver: FakeDriver, frame: np.ndarray
) -> None:
    segmenter = Segmenter('fast', fallback_ready=True)
    for _ in range(2):
        spoil(trt, driver, is_on=True)
        for _ in range(2):
            with pytest.raises(EngineError, match=match) as caught:
                segmenter(frame)
            assert not caught.value.lost
        spoil(trt, driver, is_on=False)
        segmenter(frame)
        assert segmenter.spec.name == 'tensorrt'
    spoil(trt, driver, is_on=True)
    for _ in range(2):
        with pytest.raises(EngineError, match=match):
            segmenter(frame)
    segmenter(frame)
    assert segmenter.spec.device == 'cpu'


def test_broken_driver_is_an_error_and_the_cpu_goes_on(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.codes['cuInit'] = 803
    segmenter = Segmenter('fast')
    assert segmenter.spec.device == 'cpu'
    assert errors(caplog) == [
        'The NVIDIA driver is broken: CUDA driver: cuInit failed with '
        'CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803).'
    ]


def test_no_device_is_no_error(driver: FakeDriver, caplog: pytest.LogCaptureFixture) -> None:
    driver.codes['cuInit'] = NO_DEVICE
    assert Segmenter('fast').spec.device == 'cpu'
    assert not errors(caplog)
    assert cuda_driver.driver_state().absence == 'the driver sees no device'


@pytest.mark.parametrize(
    ('visible', 'absence', 'is_broken'),
    [
        (None, 'a driver is loaded, but sees no device; `nvidia-smi`', True),
        ('0', 'a driver is loaded, but sees no device of CUDA_VISIBLE_DEVICES=0;', True),
        ('GPU-8932f937', 'sees no device of CUDA_VISIBLE_DEVICES=GPU-8932f937;', True),
        ('', 'CUDA_VISIBLE_DEVICES= hides every device', False),
        ('-1', 'CUDA_VISIBLE_DEVICES=-1 hides every device', False),
    ],
)
def test_loaded_driver_without_a_device_is_broken_unless_all_are_hidden(
    visible: str | None,
    absence: str,
    driver: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_broken: bool,
) -> None:
    monkeypatch.setattr(cuda_driver, '_KERNEL_MODULE', Path(__file__))
    if visible is not None:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    driver.codes['cuInit'] = NO_DEVICE
    state = cuda_driver.driver_state()
    assert absence in state.absence
    assert state.is_broken == is_broken


def test_loaded_driver_without_its_library_is_broken(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError('libcuda.so.1: cannot open shared object file')

    monkeypatch.setattr(cuda_driver, 'load_library', fail)
    assert not cuda_driver.driver_state().is_broken
    cuda_driver.driver_state.cache_clear()
    monkeypatch.setattr(cuda_driver, '_KERNEL_MODULE', Path(__file__))
    assert Segmenter('fast').spec.device == 'cpu'
    assert len(errors(caplog)) == 1
    assert 'a driver is loaded, but not its library (libcuda.so.1' in errors(caplog)[0]
    with pytest.raises(EngineError, match='onnxruntime on cuda, f16 cannot run') as caught:
        Segmenter('fast', 'onnxruntime', 'cuda')
    assert caught.value.lost


def test_device_that_is_lost_at_the_start_is_no_silent_cpu(
    trt: FakeTensorRt, driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.codes['cuDevicePrimaryCtxRetain'] = ILLEGAL_ADDRESS
    segmenter = Segmenter('fast')
    assert segmenter.spec.device == 'cpu'
    assert 'tensorrt on cuda, f16 was lost' in segmenter.loss
    assert errors(caplog) == [f'{segmenter.loss} {segmenter.spec} goes on.']
    with pytest.raises(EngineError, match='ILLEGAL_ADDRESS') as caught:
        Segmenter('fast', replaces_lost=False)
    assert caught.value.lost


OTHER = (200, 300)


def test_loss_while_another_size_is_built_is_told_as_one(
    trt: FakeTensorRt, driver: FakeDriver, frame: np.ndarray
) -> None:
    segmenter = Segmenter('fast', replaces_lost=False)
    driver.codes['cuMemAlloc_v2'] = ILLEGAL_ADDRESS
    with pytest.raises(EngineError, match='ILLEGAL_ADDRESS') as caught:
        segmenter.prepare(OTHER)
    assert caught.value.lost


@pytest.mark.parametrize('is_ready', [True, False])
def test_size_that_a_gpu_cannot_be_built_for_leaves_it_the_others(
    trt: FakeTensorRt,
    frame: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    is_ready: bool,
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    segmenter = Segmenter('fast', fallback_ready=is_ready, frame_size=SIZE)
    trt.spoils = {'build'}
    small = np.ascontiguousarray(frame[: OTHER[0], : OTHER[1]])
    segmenter.prepare(OTHER)
    assert segmenter.is_ready(small)
    assert 'was lost for frames at 256 x 384 px with ids of 200 x 300 px: ' in segmenter.loss
    (told,) = errors(caplog)
    assert told.startswith(f'{segmenter.loss} openvino on cpu, ')
    assert told.endswith(' runs these.')
    assert segmenter(small).class_ids.shape == OTHER
    assert segmenter.is_ready(frame)
    segmenter(frame)
    assert str(segmenter.spec) == 'tensorrt on cuda, f16'


@pytest.mark.parametrize('replaces_lost', [True, False])
def test_size_that_no_other_device_takes_over_is_refused_and_that_is_no_loss(
    trt: FakeTensorRt,
    frame: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    replaces_lost: bool,
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    device = 'cuda' if replaces_lost else 'auto'
    segmenter = Segmenter(
        'fast', 'tensorrt' if replaces_lost else 'auto', device, replaces_lost=replaces_lost,
        frame_size=SIZE,
    )  # fmt: skip
    trt.spoils = {'build'}
    with pytest.raises(EngineError, match='Could not find any implementation') as caught:
        segmenter.prepare(OTHER)
    assert not caught.value.lost
    assert segmenter.loss == ''
    assert str(segmenter.spec) == 'tensorrt on cuda, f16'
    segmenter(frame)


def test_candidate_that_cannot_run_is_refused_once_and_no_graph_is_written_for_it(
    trt: FakeTensorRt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trt.__version__ = '8.6.1'
    forms = []
    written = preparation.build_graph
    monkeypatch.setattr(
        preparation, 'build_graph', lambda *a, **k: (forms.append(k['form']), written(*a, **k))[1]
    )
    segmenter = Segmenter('fast')
    segmenter.prepare((360, 480))
    assert 'tensorrt' not in forms
    assert caplog.text.count('TensorRT 8.6.1 is installed, but 10.3 or later is needed') == 1
    assert segmenter.spec.device == 'cpu'


def test_cameras_of_one_size_share_an_engine_whatever_comes_at_once(
    trt: FakeTensorRt, frame: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    segmenter = Segmenter('fast', frame_size=SIZE)
    for count in (1, 3, 2, 5):
        assert segmenter.is_ready(frame)
        assert len(segmenter([frame] * count)) == count
    assert trt.num_builds == 1


def test_any_error_of_an_engine_is_an_engine_error(
    frame: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(Exception):  # noqa: N818
        """Libraries raise classes of their own."""

    class Engine:
        def run(self, frames: np.ndarray) -> None:
            raise Odd('no reason')

        def close(self) -> None:
            pass

    monkeypatch.setattr(engine_pool, 'build_engine', lambda *_, **__: Engine())
    spec = EngineSpec('openvino', 'cpu', 'f32')
    pool = EnginePool(
        load_checkpoint('fast'), [Candidate(spec, '')], [], replaces_lost=True,
        progress=BuildProgress(),
    )  # fmt: skip
    for is_lost in (False, False, True):
        with pytest.raises(EngineError, match='no reason') as caught:
            pool.run(frame, (SIZE, SIZE))
        assert caught.value.lost == is_lost
    monkeypatch.setattr(Engine, 'run', interrupt)
    with pytest.raises(KeyboardInterrupt):
        pool.run(frame, (SIZE, SIZE))


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_progress_of_a_build_is_there_while_it_lasts(
    trt: FakeTensorRt,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    caplog.set_level('INFO')
    seen: list[str] = []
    progress = BuildProgress()
    report = progress.report
    monkeypatch.setattr(progress, 'report', lambda text: (report(text), seen.append(text)))
    Segmenter('fast', progress=progress)
    told = 'TensorRT builds an engine: Building engine, 50%.'
    assert seen[0] == told
    assert seen[-1] == progress.text == ''
    assert caplog.text.count(told) == 1
