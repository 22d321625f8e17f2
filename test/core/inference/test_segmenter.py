# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import multiprocessing
import os
from pathlib import Path
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import EngineError
from hyperseg_core import InputError
from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference import engine_cache
from hyperseg_core.inference import export
from hyperseg_core.inference import segmenter as segmenter_module
from hyperseg_core.inference.engines import EngineSpec
from hyperseg_core.inference.engines import has_cuda
from hyperseg_core.inference.engines import onnxruntime_providers
from hyperseg_core.inference.engines import openvino_options
from hyperseg_core.inference.export import graph_of
from hyperseg_core.inference.parity import check_parity
from hyperseg_core.inference.selection import Machine
from hyperseg_core.inference.selection import candidates
from hyperseg_core.inference.torch_engine import TorchEngine
from hyperseg_core.preprocessing import network_size

ENGINES = ('torch', 'onnxruntime', 'openvino')


@pytest.fixture(scope='module')
def segmenter(small_checkpoint: Path) -> Segmenter:
    return Segmenter(small_checkpoint, 'torch')


@pytest.fixture
def frame() -> np.ndarray:
    return DriveScene(1, height=120, width=160).frame(2.0).image


@pytest.mark.parametrize('engine', ENGINES)
def test_engines_agree_with_torch_at_the_images_own_size(
    engine: str, small_checkpoint: Path, segmenter: Segmenter, frame: np.ndarray
) -> None:
    if engine != 'torch':
        pytest.importorskip(engine)
    other = Segmenter(small_checkpoint, engine)
    found, expected = other(frame), segmenter(frame)
    assert found.labels.shape == found.confidence.shape == frame.shape[:2]
    assert found.labels.dtype == found.confidence.dtype == np.uint8
    assert (found.labels == expected.labels).mean() >= 0.999
    difference = found.confidence.astype(int) - expected.confidence
    assert np.abs(difference).mean() < 1
    assert other.spec.name == engine
    other.close()
    with pytest.raises(EngineError, match='closed'):
        other(frame)


def test_list_of_different_sizes_keeps_its_order(segmenter: Segmenter, frame: np.ndarray) -> None:
    frames = [frame, frame[:64, :100], frame[:, ::-1]]
    found = segmenter(frames)
    for image, result in zip(frames, found, strict=True):
        alone = segmenter(np.ascontiguousarray(image))
        assert np.array_equal(result.labels, alone.labels)


def test_large_frames_get_the_networks_ids_enlarged(segmenter: Segmenter) -> None:
    frame = DriveScene(1, height=720, width=1080).frame(2.0).image
    labels = segmenter(frame).labels
    assert labels.shape == (720, 1080)
    blocks = labels[: 720 // 5 * 5].reshape(144, 5, 1080)
    assert (blocks == blocks[:, 2:3]).mean() > 0.95


def test_grey_rgba_and_reversed_strides_are_taken(segmenter: Segmenter, frame: np.ndarray) -> None:
    grey = frame[..., 0]
    expected = segmenter(np.repeat(grey[..., None], 3, 2)).labels
    assert np.array_equal(segmenter(grey).labels, expected)
    rgba = np.dstack((frame, np.zeros_like(grey)))
    assert np.array_equal(segmenter(rgba).labels, segmenter(frame).labels)
    assert segmenter(frame[::-1, ::-1]).labels.shape == frame.shape[:2]


@pytest.mark.parametrize(
    ('image', 'match'),
    [
        (np.zeros((480, 640, 3), np.float32), r'type float32, expected \(H, W, 3\) uint8'),
        (np.zeros((0, 640, 3), np.uint8), r'shape \(0, 640, 3\).*sides of 1 to'),
        (np.zeros((48, 64, 2), np.uint8), r'shape \(48, 64, 2\)'),
        (np.zeros((1, 1, 1, 3), np.uint8)[0, 0], r'shape \(1, 3\)|grey'),
        ('frame.png', r'is a str, expected a NumPy array'),
    ],
)
def test_bad_images_are_told_what_is_expected(
    image: object, match: str, segmenter: Segmenter
) -> None:
    if isinstance(image, np.ndarray) and image.ndim == 2:
        segmenter(image)  # two dimensions are a grey image
        return
    with pytest.raises(InputError, match=match):
        segmenter([image])  # type: ignore[list-item]


def test_confidence_threshold_turns_unsure_pixels_to_255(
    small_checkpoint: Path, frame: np.ndarray
) -> None:
    strict = Segmenter(small_checkpoint, 'torch', confidence_threshold=0.6)
    found = strict(frame)
    unsure = found.confidence < round(0.6 * 255)
    assert unsure.any()
    assert (found.labels[unsure] == 255).all()
    assert (found.labels[~unsure] != 255).all()


def test_network_size_policy(small_checkpoint: Path) -> None:
    config = load_checkpoint(small_checkpoint).config
    assert network_size((120, 160), config) == (128, 192)
    assert network_size((1080, 1920), config) == (128, 192)
    assert network_size((100, 400), config) == (64, 320)
    assert network_size((480, 640), config, (256, 320)) == (256, 320)
    with pytest.raises(ConfigError, match=r'250 x 320 px must be multiples of 64.*256 x 320'):
        network_size((480, 640), config, (250, 320))


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        ({'engine': 'onnx'}, r"Unknown engine 'onnx'; known: auto, tensorrt"),
        ({'precision': 'int8'}, r"Unknown precision 'int8'"),
        ({'device': 'tpu'}, r"Unknown device 'tpu'"),
        ({'engine': 'tensorrt', 'device': 'cpu'}, r'No engine for .*hyperseg doctor'),
    ],
)
def test_impossible_choices_are_explained(
    options: dict[str, str], match: str, small_checkpoint: Path
) -> None:
    with pytest.raises(ConfigError, match=match):
        Segmenter(small_checkpoint, **options)  # type: ignore[arg-type]


GPU = Machine(
    has_cuda=True,
    has_bf16=False,
    providers=('TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider'),
    installed=('torch', 'onnxruntime', 'openvino'),
)


def test_auto_takes_tensorrt_then_cuda_then_the_fastest_on_the_cpu() -> None:
    order = [str(candidate.spec) for candidate in candidates('auto', 'auto', 'auto', GPU)]
    assert order == [
        'tensorrt (onnxruntime) on cuda, f16', 'onnxruntime on cuda, f32', 'torch on cuda, f16',
        'openvino on cpu, f32', 'onnxruntime on cpu, f32', 'torch on cpu, f32',
    ]  # fmt: skip
    bare = Machine(has_cuda=False, has_bf16=False, providers=(), installed=('torch',))
    assert [c.spec.name for c in candidates('auto', 'auto', 'auto', bare)] == ['torch']


def test_options_for_a_gpu_are_right_without_one(tmp_path: Path) -> None:
    spec = EngineSpec('onnxruntime', 'cuda:1', 'f16', use_tensorrt=True)
    providers = onnxruntime_providers(spec, tmp_path)
    assert [name for name, _ in providers] == list(GPU.providers)
    options = providers[0][1]
    assert options['device_id'] == 1
    assert options['trt_fp16_enable'] is True
    assert options['trt_engine_cache_path'] == options['trt_timing_cache_path'] == str(tmp_path)
    assert spec.form == 'tensorrt'
    assert openvino_options(EngineSpec('openvino', 'gpu', 'f16'), None) == {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_PRECISION_HINT': 'f16',
    }


def test_cuda_without_cuda_says_so(small_checkpoint: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip('there is CUDA here')
    with pytest.raises(EngineError, match=r"'cuda' asks for CUDA, but torch sees none"):
        Segmenter(small_checkpoint, 'torch', 'cuda')


def test_missing_engine_names_the_pip_line(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(EngineError, match='pip install openvino'):
        Segmenter(small_checkpoint, 'openvino')


class _Liar:
    def __init__(self, engine: TorchEngine, *, has_nan: bool) -> None:
        self._engine, self._has_nan = engine, has_nan

    def run(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ids, confidence = self._engine.run(frames)
        if self._has_nan:
            return ids, np.zeros_like(confidence)
        return (ids + 1) % 11, confidence

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ('has_nan', 'match'),
    [(False, r' 0\.0000% of the pixels agree'), (True, r'[1-9]\d* have no prob')],
)
def test_engine_that_disagrees_or_yields_nan_is_refused(
    has_nan: bool, match: str, small_checkpoint: Path
) -> None:
    spec = EngineSpec('openvino', 'cpu', 'f32')
    graph = graph_of(load_checkpoint(small_checkpoint), (128, 192), (128, 192), 'onnxruntime')
    liar = _Liar(TorchEngine(graph, EngineSpec('torch', 'cpu', 'f32')), has_nan=has_nan)
    with pytest.raises(EngineError, match=match):
        check_parity(liar, graph, spec, 1)


def test_failing_engine_falls_back_with_a_warning(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('openvino')

    def refuse(*_: object) -> None:
        raise EngineError('OpenVINO is broken today.')

    monkeypatch.setitem(segmenter_module.FILE_ENGINES, 'openvino', refuse)
    fallen = Segmenter(small_checkpoint, 'auto', 'cpu')
    assert fallen.spec.name in {'onnxruntime', 'torch'}
    assert 'OpenVINO is broken today. Falling back to' in caplog.text


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip('onnxruntime')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return engine_cache.cache_root()


@pytest.fixture(scope='module')
def built_once(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache folder with one engine in it."""
    pytest.importorskip('onnxruntime')
    folder = tmp_path_factory.mktemp('built')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(folder))
        Segmenter(small_checkpoint, 'onnxruntime')
    return folder


@pytest.fixture
def entry(cache: Path, tmp_path: Path, built_once: Path) -> Path:
    """The one engine in a cache."""
    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    (entry,) = cache.iterdir()
    return entry


def test_cached_engine_is_used_again(
    entry: Path, small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError('exported, or copied to memory, again')

    monkeypatch.setattr(export, 'export_onnx', refuse)
    monkeypatch.setattr(export, 'graph_of', refuse)
    Segmenter(small_checkpoint, 'onnxruntime')
    assert engine_cache.CacheEntry(entry, {}).parity() is not None


@pytest.mark.skipif(has_cuda(), reason='PyTorch is asked about the GPU')
@pytest.mark.usefixtures('entry')
def test_robot_with_a_built_engine_runs_without_pytorch(small_checkpoint: Path) -> None:
    code = """
import sys
from hyperseg_core import Segmenter
Segmenter(sys.argv[1], 'onnxruntime')
assert 'torch' not in sys.modules
"""
    subprocess.run([sys.executable, '-c', code, str(small_checkpoint)], check=True, timeout=60)


@pytest.mark.parametrize('damage', ['truncate', 'foreign', 'manifest'])
def test_damaged_cache_entry_is_rebuilt_never_loaded(
    damage: str, entry: Path, small_checkpoint: Path
) -> None:
    frame = DriveScene(3, height=128, width=192).frame(1.0).image
    expected = Segmenter(small_checkpoint, 'onnxruntime')(frame).labels
    graph = entry / 'graph.onnx'
    good = graph.read_bytes()
    if damage == 'truncate':
        graph.write_bytes(good[:-1000])
    elif damage == 'foreign':
        graph.write_bytes(b'not a graph')
    else:
        (entry / 'manifest.json').write_text('{"key": 1}')
    found = Segmenter(small_checkpoint, 'onnxruntime')(frame).labels
    assert np.array_equal(found, expected)
    assert len(graph.read_bytes()) == len(good)


def test_unusable_cache_costs_a_warning_not_the_engine(
    small_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip('onnxruntime')
    blocked = tmp_path / 'file'
    blocked.write_text('a file, where a folder should be')
    monkeypatch.setenv('XDG_CACHE_HOME', str(blocked))
    Segmenter(small_checkpoint, 'onnxruntime')
    assert 'cannot be used' in caplog.text


def _build_in_process(checkpoint: str, cache: str, results: 'multiprocessing.Queue[bool]') -> None:
    os.environ['XDG_CACHE_HOME'] = cache
    built = Segmenter(checkpoint, 'onnxruntime')
    results.put(built(np.zeros((128, 192, 3), np.uint8)).labels.shape == (128, 192))


@pytest.mark.slow
def test_two_processes_building_at_once_do_no_harm(
    cache: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context('spawn')
    results = context.Queue()
    arguments = (str(small_checkpoint), str(tmp_path), results)
    children = [context.Process(target=_build_in_process, args=arguments) for _ in range(2)]
    for child in children:
        child.start()
    assert all(results.get(timeout=120) for _ in children)
    for child in children:
        child.join(30)
    assert len(list(cache.iterdir())) == 1
