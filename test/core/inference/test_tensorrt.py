# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's engine with stand-ins for TensorRT and the driver; no GPU."""

import gc
import json
from pathlib import Path

from fake_gpu import ILLEGAL_ADDRESS
from fake_gpu import LAUNCH_FAILED
from fake_gpu import OUT_OF_MEMORY
from fake_gpu import FakeDriver
from fake_gpu import FakeTensorRt
import numpy as np
import pytest

from hyperseg_core import Checkpoint
from hyperseg_core import EngineError
from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference import preparation
from hyperseg_core.inference.cache import cache_root
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engine import PinnedEngine
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines.tensorrt_builder import shared_logger
from hyperseg_core.inference.progress import reported_to

SPEC = EngineSpec('tensorrt', 'cuda', 'f16')
OWN = (256, 384)
PLAN = 'tensorrt.plan'


@pytest.fixture(scope='module')
def checkpoint() -> Checkpoint:
    return load_checkpoint('fast')


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(preparation, '_passed', set())


def prepare(checkpoint: Checkpoint, spec: EngineSpec = SPEC) -> Engine:
    return preparation.prepare(Task(checkpoint, 1, OWN, OWN), spec)


def street(size: tuple[int, int] = OWN) -> np.ndarray:
    return DriveScene(3, height=size[0], width=size[1]).frame(1.0).image


def plans() -> list[Path]:
    return sorted(cache_root().glob(f'*/{PLAN}'))


def test_frames_go_through_fixed_memory_and_come_back_right(
    checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    engine = prepare(checkpoint)
    exact = prepare(checkpoint, EngineSpec('onnxruntime', 'cpu', 'f32'))
    taken = set(driver.blocks)
    assert len(taken) == 6  # three arrays, on both sides
    answers = []
    for frame in (street(), street()[:, ::-1]):
        ids, confidence = engine.run(np.ascontiguousarray(frame)[None])
        expected, _ = exact.run(np.ascontiguousarray(frame)[None])
        assert (ids == expected).mean() >= 0.998
        assert confidence.min() > 0
        answers.append(ids)
    assert not np.array_equal(answers[0], answers[1])
    assert set(driver.blocks) == taken
    assert isinstance(engine, PinnedEngine)
    engine.frames[0] = street()
    assert np.array_equal(engine.run(engine.frames)[0], answers[0])
    engine.close()
    assert engine.frames is None
    assert not driver.blocks
    assert driver.calls[-2:] == ['cuStreamDestroy_v2', 'cuDevicePrimaryCtxRelease_v2']


def test_engines_of_a_device_share_a_stream_that_waits_for_nobody_else(
    checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    first = prepare(checkpoint)
    second = prepare(checkpoint)
    assert driver.stream_flags == [1]  # CU_STREAM_NON_BLOCKING
    first.close()
    assert 'cuStreamDestroy_v2' not in driver.calls
    second.run(street()[None])
    second.close()
    assert driver.calls.count('cuStreamDestroy_v2') == 1
    prepare(checkpoint).close()
    assert driver.stream_flags == [1, 1]


def test_kept_plan_runs_once_before_its_first_frame(
    checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    prepare(checkpoint).close()
    driver.calls.clear()
    engine = prepare(checkpoint)
    assert driver.calls.count('cuMemcpyHtoDAsync_v2') == 1
    engine.close()
    trt.spoils = {'run'}
    with pytest.raises(EngineError, match='does not run: it does not say why'):
        prepare(checkpoint)
    assert not driver.blocks


def test_what_tensorrt_said_earlier_is_no_reason(
    checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    engine = prepare(checkpoint)
    shared_logger(trt).log(1, 'of a build long ago')
    trt.spoils = {'run'}
    with pytest.raises(EngineError, match='does not run: it does not say why'):
        engine.run(street()[None])


def test_engine_that_is_let_go_of_gives_its_memory_back(
    checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    engine = prepare(checkpoint)
    assert driver.blocks
    del engine
    gc.collect()
    assert not driver.blocks


@pytest.mark.parametrize('function', ['cuStreamCreate', 'cuCtxSetCurrent', 'cuDeviceGet'])
def test_device_that_does_not_open_is_let_go_of(
    function: str, checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    driver_state()
    driver.codes[function] = LAUNCH_FAILED
    with pytest.raises(EngineError, match=f'{function} failed with CUDA_ERROR_LAUNCH_FAILED'):
        prepare(checkpoint)
    has_retained = 'cuDevicePrimaryCtxRetain' in driver.calls
    assert ('cuDevicePrimaryCtxRelease_v2' in driver.calls) == has_retained


def test_plan_is_kept_hashed_and_taken_again(checkpoint: Checkpoint, trt: FakeTensorRt) -> None:
    prepare(checkpoint).close()
    prepare(checkpoint).close()
    assert trt.num_builds == 1
    (plan,) = plans()
    manifest = json.loads((plan.parent / 'manifest.json').read_text())
    assert list(manifest['files']) == [PLAN]
    assert manifest['parity']['required'] == 0.995
    key = manifest['key']
    assert key['engine'] == {'name': 'tensorrt', 'device': 'cuda', 'precision': 'f16'}
    assert key['engine_version'] == '10.3.0'
    assert key['capability'] == '8.7'
    assert key['driver'].endswith('CUDA 13.0')


def test_changed_plan_is_built_anew(checkpoint: Checkpoint, trt: FakeTensorRt) -> None:
    prepare(checkpoint).close()
    (plan,) = plans()
    plan.write_bytes(plan.read_bytes()[:-1] + b'x')
    prepare(checkpoint).close()
    assert trt.num_builds == 2


def test_plan_that_tensorrt_refuses_is_built_anew(
    checkpoint: Checkpoint, trt: FakeTensorRt, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(checkpoint).close()
    (plan,) = plans()
    manifest = plan.parent / 'manifest.json'
    content = json.loads(manifest.read_text())
    plan.write_bytes(b'of another TensorRT')
    import hashlib

    content['files'][PLAN] = hashlib.sha256(plan.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))
    prepare(checkpoint).close()
    assert trt.num_builds == 2
    assert 'refuses the kept plan; it is built anew. The engine plan file is not' in caplog.text


def test_new_version_capability_or_driver_builds_anew(
    checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hyperseg_core.inference import cuda_driver

    prepare(checkpoint).close()
    trt.__version__ = '10.9.0'
    prepare(checkpoint).close()
    monkeypatch.setattr(driver, '_cuDriverGetVersion', lambda n: setattr(n._obj, 'value', 12060))
    cuda_driver.driver_state.cache_clear()
    prepare(checkpoint).close()
    monkeypatch.setattr(
        driver, '_cuDeviceGetAttribute', lambda n, a, d: setattr(n._obj, 'value', 9)
    )
    cuda_driver.driver_state.cache_clear()
    prepare(checkpoint).close()
    prepare(checkpoint, EngineSpec('tensorrt', 'cuda', 'f32')).close()
    assert trt.num_builds == len(plans()) == 5


def test_timings_of_kernels_serve_the_next_build(
    checkpoint: Checkpoint, trt: FakeTensorRt
) -> None:
    prepare(checkpoint).close()
    prepare(checkpoint, EngineSpec('tensorrt', 'cuda', 'f32')).close()
    assert trt.caches == [b'', b'timings']


def test_build_reports_its_outermost_phase(checkpoint: Checkpoint, trt: FakeTensorRt) -> None:
    told: list[str] = []
    with reported_to(told.append):
        prepare(checkpoint).close()
    assert told == ['TensorRT builds an engine: Building engine, 50%.']


@pytest.mark.parametrize(
    ('spoil', 'match'),
    [
        ('build', 'builds no engine of the graph: Could not find any implementation'),
        ('plans', 'does not take the plan that it built: The engine plan file'),
        ('context', 'has no memory to run in'),
        ('ids', r'tensorrt on cuda, f16 disagrees with openvino on cpu, f32'),
        ('nan', r'have no probability'),
    ],
)
def test_what_goes_wrong_in_a_build_is_said_and_leaves_nothing(
    spoil: str, match: str, checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    trt.spoils.add(spoil)
    with pytest.raises(EngineError, match=match):
        prepare(checkpoint)
    assert not driver.blocks
    assert not [path for path in cache_root().glob('*/manifest.json') if PLAN in path.read_text()]


def test_refused_graph_names_the_parsers_reason(checkpoint: Checkpoint, trt: FakeTensorRt) -> None:
    trt.refused_graph = True
    with pytest.raises(EngineError, match='does not parse the graph: Transpose of UINT8'):
        prepare(checkpoint)


@pytest.mark.parametrize('function', ['cuMemAlloc_v2', 'cuMemHostAlloc'])
def test_no_memory_is_no_loss_and_leaves_none_taken(
    function: str, checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    driver.codes[function] = OUT_OF_MEMORY
    with pytest.raises(EngineError, match='out of memory') as caught:
        prepare(checkpoint)
    assert not caught.value.lost
    assert not driver.blocks


@pytest.mark.parametrize('function', ['cuStreamSynchronize', 'cuMemcpyHtoDAsync_v2'])
@pytest.mark.parametrize('spoil', ['none', 'run'])
def test_lost_device_is_told_from_a_failure(
    function: str, spoil: str, checkpoint: Checkpoint, trt: FakeTensorRt, driver: FakeDriver
) -> None:
    engine = preparation._open(Task(checkpoint, 1, OWN, OWN), SPEC, _graph(checkpoint), NoFiles())
    trt.spoils.add(spoil)
    if spoil == 'run':
        with pytest.raises(EngineError, match='TensorRT does not run') as caught:
            engine.run(street()[None])
        assert not caught.value.lost
    driver.codes[function] = ILLEGAL_ADDRESS
    with pytest.raises(EngineError, match=r'CUDA_ERROR_ILLEGAL_ADDRESS \(700\)') as caught:
        engine.run(street()[None])
    assert caught.value.lost


def _graph(checkpoint: Checkpoint) -> bytes:
    return preparation._content(Task(checkpoint, 1, OWN, OWN), SPEC)


@pytest.mark.parametrize('version', ['8.6.1', '10.2.0'])
def test_old_version_is_refused_with_what_to_install(
    version: str, checkpoint: Checkpoint, trt: FakeTensorRt
) -> None:
    trt.__version__ = version
    with pytest.raises(EngineError, match=rf'TensorRT {version} is installed, but 10.3 or later'):
        prepare(checkpoint)


def test_segmenter_takes_it_first_and_segments_camera_frames(trt: FakeTensorRt) -> None:
    segmenter = Segmenter('fast', frame_size=(360, 480))
    assert str(segmenter.spec) == 'tensorrt on cuda, f16'
    frame = street((360, 480))
    found = segmenter([frame, frame[:, ::-1]])
    exact = Segmenter('fast', device='cpu')
    for result, image in zip(found, (frame, frame[:, ::-1]), strict=True):
        assert (result.class_ids == exact(np.ascontiguousarray(image)).class_ids).mean() >= 0.998
    assert trt.num_builds == 1
    segmenter.close()
