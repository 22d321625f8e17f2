# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on CUDA with stand-ins; on the CPU it is the real one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fake_gpu import FakeDriver
import numpy as np
import pytest

from hyperseg_core import EngineError
from hyperseg_core import Segmenter
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engines import check_runs
from hyperseg_core.inference.engines import onnxruntime
from hyperseg_core.inference.engines.shared_library import needed_libraries

SPEC = EngineSpec('onnxruntime', 'cuda', 'f16')
CUDA, CPU = 'CUDAExecutionProvider', 'CPUExecutionProvider'
NEEDED = ['libcublasLt.so.13', 'libcudnn.so.9', 'libcuda.so.1', 'libc.so.6']
FRAMES = np.zeros((1, 4, 4, 3), np.uint8)


class Session:
    """A session on CUDA, or what ONNX Runtime makes of it."""

    error: Exception | None = None
    started = CUDA

    def __init__(self, graph: bytes, options: Any, **asked: Any) -> None:
        self.asked = asked

    def get_providers(self) -> list[str]:
        return [Session.started, CPU]

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name='frames')]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name=name) for name in ('labels', 'confidence')]

    def io_binding(self) -> Any:
        ids = np.ones((1, 4, 4), np.uint8)
        return SimpleNamespace(
            bind_cpu_input=lambda *_: None,
            bind_output=lambda *_: None,
            copy_outputs_to_cpu=lambda: [ids, ids],
        )

    def run_with_iobinding(self, binding: Any) -> None:
        if Session.error is not None:
            raise Session.error


@pytest.fixture
def library(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """ONNX Runtime with CUDA, whose libraries load."""
    pytest.importorskip('onnxruntime')
    fake = SimpleNamespace(
        __file__='/nowhere/onnxruntime/__init__.py',
        get_available_providers=lambda: ['TensorrtExecutionProvider', CUDA, CPU],
        SessionOptions=SimpleNamespace,
        InferenceSession=Session,
    )
    monkeypatch.setattr(onnxruntime, 'import_onnxruntime', lambda: fake)
    monkeypatch.setattr(onnxruntime, 'needed_libraries', lambda path: NEEDED)
    monkeypatch.setattr(onnxruntime.ctypes, 'CDLL', lambda name: name)
    monkeypatch.setattr(Session, 'error', None)
    monkeypatch.setattr(Session, 'started', CUDA)
    return fake


def test_cuda_is_there_where_the_libraries_that_the_provider_needs_load(
    library: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(onnxruntime.ctypes, 'CDLL', loaded.append)
    check_runs(SPEC)
    # The provider itself expects a host: outside ONNX Runtime it never loads.
    assert loaded == NEEDED[:3]


def test_needed_libraries_are_read_from_the_file(tmp_path: Path) -> None:
    real = pytest.importorskip('onnxruntime')
    (library,) = (Path(real.__file__).parent / 'capi').glob('onnxruntime_pybind11_state*.so')
    found = needed_libraries(library)
    assert 'libc.so.6' in found
    assert all(name.startswith(('lib', 'ld-')) and '.so' in name for name in found)
    (tmp_path / 'text.so').write_text('no library')
    with pytest.raises(ValueError, match='is no shared library'):
        needed_libraries(tmp_path / 'text.so')


def test_provider_that_is_not_where_it_should_be_is_refused(
    library: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, 'needed_libraries', needed_libraries)
    with pytest.raises(EngineError, match=r'No such file.*libonnxruntime_providers_cuda'):
        check_runs(SPEC)


def test_preloading_says_nothing(
    library: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    library.preload_dlls = lambda: print('Failed to load libcufft.so.11')
    check_runs(SPEC)
    assert capsys.readouterr().out == ''


def test_provider_that_is_not_part_of_it_names_the_pip_line(library: SimpleNamespace) -> None:
    library.get_available_providers = lambda: [CPU]
    with pytest.raises(EngineError, match='has no CUDAExecutionProvider: `pip install onnxrun'):
        check_runs(SPEC)


def test_listed_provider_whose_libraries_are_absent_is_refused(
    library: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        if name == 'libcudnn.so.9':
            raise OSError(f'{name}: cannot open shared object file')

    monkeypatch.setattr(onnxruntime.ctypes, 'CDLL', fail)
    with pytest.raises(EngineError, match=r'does not load: libcudnn\.so\.9: cannot open'):
        check_runs(SPEC)


def test_device_beyond_those_that_are_there_is_refused(library: SimpleNamespace) -> None:
    with pytest.raises(EngineError, match=r'cuda:3, f16 cannot run: there are 1 device'):
        check_runs(EngineSpec('onnxruntime', 'cuda:3', 'f16'))


def test_provider_that_does_not_start_is_refused(library: SimpleNamespace) -> None:
    Session.started = CPU
    with pytest.raises(EngineError, match='could not start CUDAExecutionProvider'):
        onnxruntime.OnnxRuntimeEngine(b'', SPEC, NoFiles())


@pytest.mark.parametrize(
    ('text', 'is_lost'),
    [
        ('CUDA failure 700: an illegal memory access was encountered ; GPU=0', True),
        ('CUDNN failure 5000: CUDNN_STATUS_EXECUTION_FAILED ; GPU=0', True),
        ('CUDA failure 2: out of memory ; GPU=0', False),
        ('CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0', False),
        ('CUDNN failure 1001: CUDNN_STATUS_NOT_INITIALIZED ; GPU=0', False),
        ('CUDA failure 209: no kernel image is available for execution on the device', False),
        ('BFCArena: Failed to allocate memory for requested buffer of size 1', False),
        ('Non-zero status code returned while running Conv node', False),
    ],
)
def test_failures_of_the_device_say_whether_it_is_lost(
    text: str, library: SimpleNamespace, *, is_lost: bool
) -> None:
    engine = onnxruntime.OnnxRuntimeEngine(b'', SPEC, NoFiles())
    ids, _ = engine.run(FRAMES)
    assert ids.all()
    Session.error = ValueError(f'{text}\nand a stack')
    with pytest.raises(EngineError, match=text[:20]) as caught:
        engine.run(FRAMES)
    assert caught.value.lost == is_lost

    def fail(*_: Any, **__: Any) -> None:
        assert Session.error is not None
        raise Session.error

    library.InferenceSession = fail
    with pytest.raises(EngineError, match=text[:20]) as caught:
        onnxruntime.OnnxRuntimeEngine(b'', SPEC, NoFiles())
    assert caught.value.lost == is_lost


def test_real_library_for_the_cpu_has_no_cuda(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    real = pytest.importorskip('onnxruntime')
    if CUDA in real.get_available_providers():
        pytest.skip('onnxruntime-gpu is installed')
    segmenter = Segmenter('fast', 'onnxruntime')
    assert str(segmenter.spec) == 'onnxruntime on cpu, f32'
    assert 'has no CUDAExecutionProvider' in caplog.text
