# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engines behind one small protocol: ONNX Runtime (CPU, CUDA, TensorRT) and OpenVINO here.

PyTorch, in `torch_engine`, is not imported: with a built graph a robot starts and lives without.
Options are plain data made by functions of their own, so that what a GPU would be told can be
checked where there is none.
"""

from collections.abc import Callable
import ctypes
from dataclasses import dataclass
import importlib.util
import os
from pathlib import Path
import platform
from typing import Any
from typing import Literal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import EngineError

Bytes = NDArray[np.uint8]
EngineName = Literal['torch', 'onnxruntime', 'openvino']
Precision = Literal['f32', 'bf16', 'f16']
OPSET = 18
Form = Literal['openvino', 'onnxruntime', 'tensorrt']
"""The engines that the graph is written for. The dynamic depthwise step is a grouped convolution
with a computed kernel, the fastest on CPUs, or nine shifted products for TensorRT, which takes no
computed kernels. Classes are compared plane by plane, a chain that OpenVINO fuses and that suits
PyTorch too, whose argmax is slow; or by reductions for ONNX Runtime on a CPU, whose Where is."""
ENGINES: tuple[EngineName, ...] = ('torch', 'onnxruntime', 'openvino')
_INSTALL = {'onnxruntime': 'onnxruntime', 'openvino': 'openvino', 'torch': 'torch'}


class Engine(Protocol):
    """Runs one graph of fixed shapes."""

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment frames (B, H, W, 3) uint8 RGB: ids and confidence, (B, H', W') uint8 each."""

    def close(self) -> None:
        """Release what the engine holds."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine, where, and how exactly it computes."""

    name: EngineName
    device: str
    """`cpu`, `gpu` (Intel, OpenVINO), `cuda` or `cuda:N`."""
    precision: Precision
    use_tensorrt: bool = False

    def __str__(self) -> str:
        """Return e.g. `openvino on cpu, bf16`."""
        name = 'tensorrt (onnxruntime)' if self.use_tensorrt else self.name
        return f'{name} on {self.device}, {self.precision}'

    @property
    def form(self) -> Form:
        """The form of the graph that this engine takes, or runs fastest."""
        if self.use_tensorrt or self.device != 'cpu':
            return 'tensorrt'
        return 'onnxruntime' if self.name == 'onnxruntime' else 'openvino'


def is_installed(name: EngineName) -> bool:
    """Tell whether an engine's library is there, without importing it."""
    return importlib.util.find_spec(name) is not None


def require(name: EngineName) -> None:
    """Check that an engine is installed.

    Raises:
        EngineError: If not, with the line that installs it.
    """
    if not is_installed(name):
        msg = f'Engine {name!r} is not installed: `pip install {_INSTALL[name]}`.'
        raise EngineError(msg)


def engine_version(name: EngineName) -> str:
    """Return the version of an engine's library."""
    require(name)
    from importlib import metadata

    for distribution in (name, f'{name}-gpu'):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return 'unknown'


def device_name(device: str) -> str:
    """Return what the device is called; built engines belong to it."""
    if device.startswith('cuda') and has_cuda():
        import torch

        return torch.cuda.get_device_name(torch.device(device))
    return platform.processor() or platform.machine()


def has_cuda() -> bool:
    """Tell whether PyTorch sees a CUDA device; where there is no driver, without importing it."""
    try:
        ctypes.CDLL('libcuda.so.1')
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def cpu_threads() -> int:
    """Return how many CPUs this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    )


def onnxruntime_providers(
    spec: EngineSpec, cache: Path | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return ONNX Runtime's execution providers and their options, best first."""
    index = int(spec.device.partition(':')[2] or 0)
    providers: list[tuple[str, dict[str, Any]]] = []
    if spec.use_tensorrt:
        options: dict[str, Any] = {
            'device_id': index,
            'trt_fp16_enable': spec.precision == 'f16',
            'trt_engine_cache_enable': cache is not None,
            'trt_timing_cache_enable': cache is not None,
        }
        if cache is not None:
            options['trt_engine_cache_path'] = str(cache)
            options['trt_timing_cache_path'] = str(cache)
        providers.append(('TensorrtExecutionProvider', options))
    if spec.device.startswith('cuda'):
        providers.append(
            (
                'CUDAExecutionProvider',
                {'device_id': index, 'cudnn_conv_algo_search': 'EXHAUSTIVE'},
            )
        )
    providers.append(('CPUExecutionProvider', {}))
    return providers


class OnnxRuntimeEngine:
    """ONNX Runtime with the provider that the specification asks for, first."""

    def __init__(self, path: Path, spec: EngineSpec, cache: Path | None) -> None:
        """Load an exported graph.

        Raises:
            EngineError: If the provider is not part of the installed ONNX Runtime.
        """
        require('onnxruntime')
        import onnxruntime

        providers = onnxruntime_providers(spec, cache)
        wanted = providers[0][0]
        if wanted not in onnxruntime.get_available_providers():
            msg = (
                f'The installed ONNX Runtime has no {wanted}: `pip install onnxruntime-gpu` '
                f'instead of onnxruntime, or use `device: cpu`.'
            )
            raise EngineError(msg)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpu_threads()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=[name for name, _ in providers],
            provider_options=[option for _, option in providers],
        )
        if self._session.get_providers()[0] != wanted:
            msg = (
                f'ONNX Runtime could not start {wanted} and fell back to '
                f'{self._session.get_providers()[0]}; check that the CUDA libraries are found.'
            )
            raise EngineError(msg)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._on_gpu = spec.device.startswith('cuda')

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        if not self._on_gpu:
            ids, confidence = self._session.run(None, {self._input: frames})
            return ids, confidence
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, frames)
        for output in self._outputs:
            binding.bind_output(output)
        self._session.run_with_iobinding(binding)
        ids, confidence = binding.copy_outputs_to_cpu()
        return ids, confidence

    def close(self) -> None:
        """Release the session."""
        self._session = None  # type: ignore[assignment]


def openvino_options(spec: EngineSpec, cache: Path | None) -> dict[str, Any]:
    """Return the properties that OpenVINO compiles with."""
    options: dict[str, Any] = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_PRECISION_HINT': spec.precision,
    }
    if spec.device == 'cpu':
        options['INFERENCE_NUM_THREADS'] = cpu_threads()
    if cache is not None:
        options['CACHE_DIR'] = str(cache / 'openvino')
    return options


class OpenVinoEngine:
    """OpenVINO on a CPU or an Intel GPU."""

    def __init__(self, path: Path, spec: EngineSpec, cache: Path | None) -> None:
        """Compile an exported graph.

        Raises:
            EngineError: If OpenVINO has no such device or cannot compile the graph.
        """
        require('openvino')
        import openvino

        core = openvino.Core()
        device = {'cpu': 'CPU', 'gpu': 'GPU'}.get(spec.device)
        if device is None or not any(name.startswith(device) for name in core.available_devices):
            msg = (
                f'OpenVINO has no device {spec.device!r} here, only '
                f'{", ".join(core.available_devices)}; use `device: cpu`.'
            )
            raise EngineError(msg)
        try:
            model = core.compile_model(str(path), device, openvino_options(spec, cache))
        except RuntimeError as err:
            msg = f'OpenVINO cannot compile {path}: {err}. Delete it to have it exported again.'
            raise EngineError(msg) from err
        self._request = model.create_infer_request()

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        result = self._request.infer([frames], share_inputs=True)
        return result[0].copy(), result[1].copy()

    def close(self) -> None:
        """Release the request."""
        self._request = None


FileEngine = Callable[[Path, EngineSpec, 'Path | None'], Engine]
FILE_ENGINES: dict[EngineName, FileEngine] = {
    'onnxruntime': OnnxRuntimeEngine,
    'openvino': OpenVinoEngine,
}
