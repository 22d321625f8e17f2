# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, on a CPU or CUDA.

Options are plain data made by functions of their own, so that what a GPU would be told can be
checked where there is none.
"""

import contextlib
import ctypes
import io
import os
from pathlib import Path
from typing import Any

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import require
from hyperseg_core.inference.engines.shared_library import needed_libraries
from hyperseg_core.inference.machine import cpu_threads

_CUDA = 'CUDAExecutionProvider'
_CUDA_LIBRARY = 'libonnxruntime_providers_cuda.so'
_CUDA_NAMES = 'libcu'
"""How the names of CUDA's libraries begin, the driver's too; others come with the system."""
_ERRORS_ONLY = 3
"""ONNX Runtime's log level: its warnings are about graphs, not about what users do."""
_DEVICE_WORDS = ('CUDA', 'CUDNN', 'CUBLAS')
_MEMORY_WORDS = (
    'out of memory', 'failed to allocate', 'bad_alloc', 'alloc_failed', 'allocation_failed',
    'not_initialized',
)  # fmt: skip
"""What errors of a device, and of its memory, have in their first line."""
_NO_KERNELS = 'no kernel image'


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry, which writes an identifier and asks the network.

    The variable must be set before the import; the call is for versions that do not know it.
    """
    require('onnxruntime')
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def onnxruntime_providers(spec: EngineSpec) -> list[tuple[str, dict[str, Any]]]:
    """Return ONNX Runtime's execution providers and their options, best first."""
    providers: list[tuple[str, dict[str, Any]]] = [('CPUExecutionProvider', {})]
    if spec.is_cuda:
        options = {
            'device_id': spec.cuda_index,
            'cudnn_conv_algo_search': 'EXHAUSTIVE',
            'use_tf32': int(spec.precision != 'f32'),
        }
        providers.insert(0, (_CUDA, options))
    return providers


def session_options(onnxruntime: Any) -> Any:
    """Return the options of a session on any provider."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_threads()
    options.log_severity_level = _ERRORS_ONLY
    return options


def check_runs(spec: EngineSpec) -> None:
    """Check that the provider is there, and that the libraries that it needs load.

    Raises:
        EngineError: If not, with what is missing.
    """
    onnxruntime = import_onnxruntime()
    if not spec.is_cuda:
        return
    if _CUDA not in onnxruntime.get_available_providers():
        msg = (
            f'The installed ONNX Runtime has no {_CUDA}: `pip install onnxruntime-gpu` instead '
            f'of onnxruntime, or use `device: cpu`.'
        )
        raise EngineError(msg)
    if hasattr(onnxruntime, 'preload_dlls'):  # from 1.21: CUDA and cuDNN as pip installs them
        with contextlib.redirect_stdout(io.StringIO()):  # which it prints about
            onnxruntime.preload_dlls()
    # Not the provider itself: it expects a host, which only ONNX Runtime gives it.
    provider = Path(onnxruntime.__file__).parent / 'capi' / _CUDA_LIBRARY
    try:
        for name in needed_libraries(provider):
            if name.startswith(_CUDA_NAMES):
                ctypes.CDLL(name)
    except (OSError, ValueError) as err:
        msg = (
            f"ONNX Runtime's {_CUDA} does not load: {err}. Install the CUDA and cuDNN that it was "
            f"built for: `pip install 'onnxruntime-gpu[cuda,cudnn]'`."
        )
        raise EngineError(msg) from err


class OnnxRuntimeEngine:
    """ONNX Runtime with the provider that the specification asks for, first."""

    def __init__(self, graph: bytes, spec: EngineSpec, files: EngineFiles) -> None:
        """Load a serialised graph.

        Raises:
            EngineError: If the provider does not start.
        """
        onnxruntime = import_onnxruntime()
        providers = onnxruntime_providers(spec)
        wanted = providers[0][0]
        options = session_options(onnxruntime)
        self._on_gpu = spec.is_cuda
        try:
            self._session = onnxruntime.InferenceSession(
                graph,
                options,
                providers=[name for name, _ in providers],
                provider_options=[option for _, option in providers],
            )
        except Exception as err:  # it raises classes of its own
            raise self._failure(err) from err
        if self._session.get_providers()[0] != wanted:
            msg = (
                f'ONNX Runtime could not start {wanted} and fell back to '
                f'{self._session.get_providers()[0]}; check that the CUDA libraries are found.'
            )
            raise EngineError(msg)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        try:
            ids, confidence = self._run(frames)
        except Exception as err:  # it raises classes of its own
            raise self._failure(err) from err
        return ids, confidence

    def _failure(self, err: Exception) -> EngineError:
        text = str(err).partition('\n')[0]
        is_device = self._on_gpu and any(word in text for word in _DEVICE_WORDS)
        is_healthy = any(word in text.lower() for word in (*_MEMORY_WORDS, _NO_KERNELS))
        return EngineError(f'ONNX Runtime failed: {text}', lost=is_device and not is_healthy)

    def _run(self, frames: Bytes) -> list[Bytes]:
        if not self._on_gpu:
            found: list[Bytes] = self._session.run(None, {self._input: frames})
            return found
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, frames)
        for output in self._outputs:
            binding.bind_output(output)
        self._session.run_with_iobinding(binding)
        found = binding.copy_outputs_to_cpu()
        return found

    def close(self) -> None:
        """Release the session."""
        self._session = None
