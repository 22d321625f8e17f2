# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for NVIDIA's driver and for TensorRT where there is no GPU.

Device memory is the host's, the driver's functions do what theirs do to it, and a plan is the
graph itself, run by ONNX Runtime on the CPU: everything of ours between them is the real thing.
Each can be told to fail.
"""

import ctypes
import importlib.util
from pathlib import Path
import sys
from types import ModuleType
from types import SimpleNamespace
from typing import Any
import weakref

import numpy as np
import pytest

from hyperseg_core.inference import cuda_driver
from hyperseg_core.inference.engines import cuda_memory

OUT_OF_MEMORY, NO_DEVICE, ILLEGAL_ADDRESS, LAUNCH_FAILED = 2, 100, 700, 719
_NAMES = {
    2: b'CUDA_ERROR_OUT_OF_MEMORY', 700: b'CUDA_ERROR_ILLEGAL_ADDRESS',
    719: b'CUDA_ERROR_LAUNCH_FAILED', 803: b'CUDA_ERROR_SYSTEM_DRIVER_MISMATCH',
}  # fmt: skip


class FakeDriver:
    """`libcuda.so.1`, with one device."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        """What functions return instead of doing anything."""
        self.blocks: dict[int, Any] = {}
        """Memory that is taken and not given back, by its address."""
        self.num_devices = 1
        self.calls: list[str] = []
        self.stream_flags: list[int] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith('cu'):
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name in self.codes:
                return self.codes[name]
            act = getattr(self, f'_{name}', None)
            if act is not None:
                act(*arguments)
            return 0

        return call

    def cuGetErrorName(self, code: int, name: Any) -> int:  # noqa: N802
        name._obj.value = _NAMES.get(code)
        return 0

    def _cuDriverGetVersion(self, number: Any) -> None:  # noqa: N802
        number._obj.value = 13000

    def _cuDeviceGetCount(self, number: Any) -> None:  # noqa: N802
        number._obj.value = self.num_devices

    def _cuDeviceGet(self, device: Any, index: int) -> None:  # noqa: N802
        device._obj.value = index

    def _cuDeviceGetName(self, name: Any, size: int, device: Any) -> None:  # noqa: N802
        name.value = b'Fake GPU'

    def _cuDeviceGetAttribute(self, number: Any, attribute: int, device: Any) -> None:  # noqa: N802
        number._obj.value = {75: 8, 76: 7}[attribute]

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> None:  # noqa: N802
        context._obj.value = 1

    def _cuStreamCreate(self, stream: Any, flags: int) -> None:  # noqa: N802
        stream._obj.value = 7
        self.stream_flags.append(flags)

    def _take(self, pointer: Any, size: Any) -> None:
        block = ctypes.create_string_buffer(size.value)
        pointer._obj.value = ctypes.addressof(block)
        self.blocks[pointer._obj.value] = block

    def _cuMemAlloc_v2(self, pointer: Any, size: Any) -> None:  # noqa: N802
        self._take(pointer, size)

    def _cuMemHostAlloc(self, pointer: Any, size: Any, flags: int) -> None:  # noqa: N802
        self._take(pointer, size)

    def _cuMemFree_v2(self, pointer: Any) -> None:  # noqa: N802
        del self.blocks[pointer.value]

    def _cuMemFreeHost(self, pointer: Any) -> None:  # noqa: N802
        del self.blocks[pointer.value]

    def _cuMemcpyHtoDAsync_v2(self, to: Any, source: Any, size: Any, stream: Any) -> None:  # noqa: N802
        ctypes.memmove(to.value, source.value, size.value)

    def _cuMemcpyDtoHAsync_v2(self, to: Any, source: Any, size: Any, stream: Any) -> None:  # noqa: N802
        ctypes.memmove(to.value, source.value, size.value)


class FakeTensorRt(ModuleType):
    """The module `tensorrt`."""

    def __init__(self, driver: FakeDriver) -> None:
        super().__init__('tensorrt')
        self.__spec__ = importlib.util.spec_from_loader('tensorrt', None)
        self.__version__ = '10.3.0'
        self.driver = driver
        self.num_builds = 0
        self.refused_graph = False
        """Whether the parser refuses every graph."""
        self.spoils: set[str] = set()
        """What goes wrong: `build`, `plans`, `context`, `run`, `nan`, `ids`."""
        self.caches: list[bytes] = []
        self.ILogger = type(
            'ILogger', (), {'Severity': SimpleNamespace(ERROR=1, INTERNAL_ERROR=0, WARNING=2)}
        )
        self.IProgressMonitor = type('IProgressMonitor', (), {})
        self.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=0)
        self.BuilderFlag = SimpleNamespace(TF32='TF32')
        self.Builder = lambda logger: _Builder(self, logger)
        self.OnnxParser = lambda network, logger: _Parser(self, network)
        self.Runtime = lambda logger: _Runtime(self, logger)


class _Parser:
    num_errors = 1

    def __init__(self, trt: FakeTensorRt, network: Any) -> None:
        self._trt, self._network = trt, network

    def parse(self, graph: bytes) -> bool:
        self._network.graph = graph
        return not self._trt.refused_graph

    def get_error(self, index: int) -> str:
        return 'Transpose of UINT8 is not supported'


class _Cache(SimpleNamespace):
    def serialize(self) -> bytes:
        return b'timings'


class _Config:
    def __init__(self, trt: FakeTensorRt) -> None:
        self._trt = trt
        self.flags: dict[str, bool] = {}
        self.progress_monitor: Any = None

    def set_flag(self, flag: str) -> None:
        self.flags[flag] = True

    def clear_flag(self, flag: str) -> None:
        self.flags[flag] = False

    def create_timing_cache(self, data: bytes) -> _Cache:
        self._trt.caches.append(data)
        return _Cache(data=data)

    def set_timing_cache(self, cache: _Cache, ignore_mismatch: bool) -> bool:
        return cache.data in {b'', b'timings'}

    def get_timing_cache(self) -> _Cache:
        return _Cache(data=b'timings')


class _Builder:
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def create_network(self, flags: int) -> SimpleNamespace:
        assert flags == 1
        return SimpleNamespace(graph=b'')

    def create_builder_config(self) -> _Config:
        return _Config(self._trt)

    def build_serialized_network(self, network: Any, config: _Config) -> bytes | None:
        self._trt.num_builds += 1
        monitor = config.progress_monitor
        monitor.phase_start('Building engine', None, 2)
        monitor.phase_start('Tactics', 'Building engine', 9)
        assert monitor.step_complete('Tactics', 3)
        monitor.phase_finish('Tactics')
        assert monitor.step_complete('Building engine', 0)
        monitor.phase_finish('Building engine')
        if 'build' in self._trt.spoils:
            self._logger.log(1, 'Could not find any implementation for node Conv_3')
            return None
        return b'plan' + network.graph


class _Runtime:
    def __init__(self, trt: FakeTensorRt, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> 'Any':
        if 'plans' in self._trt.spoils or not plan.startswith(b'plan'):
            self._logger.log(1, 'The engine plan file is not compatible with this version')
            return None
        return _Engine(self._trt, plan.removeprefix(b'plan'))


class _Engine:
    def __init__(self, trt: FakeTensorRt, graph: bytes) -> None:
        from hyperseg_core.inference.engines.onnxruntime import import_onnxruntime

        self._trt = trt
        self._session = import_onnxruntime().InferenceSession(
            graph, providers=['CPUExecutionProvider']
        )
        self._shapes = {
            item.name: tuple(item.shape)
            for item in (*self._session.get_inputs(), *self._session.get_outputs())
        }

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def create_execution_context(self) -> Any:
        return None if 'context' in self._trt.spoils else self

    def set_tensor_address(self, name: str, address: int) -> None:
        assert address in self._trt.driver.blocks
        self.__dict__.setdefault('addresses', {})[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        if 'run' in self._trt.spoils:
            return False
        frames = self._at('frames')
        for name, value in zip(
            ('labels', 'confidence'), self._session.run(None, {'frames': frames}), strict=True
        ):
            if 'nan' in self._trt.spoils and name == 'confidence':
                value = np.zeros_like(value)
            if 'ids' in self._trt.spoils and name == 'labels':
                value = (value + 1) % 11
            self._at(name)[...] = value
        return True

    def _at(self, name: str) -> np.ndarray:
        shape = self._shapes[name]
        kind = ctypes.c_uint8 * int(np.prod(shape))
        return np.ctypeslib.as_array(kind.from_address(self.addresses[name])).reshape(shape)


def install_driver(patch: pytest.MonkeyPatch) -> FakeDriver:
    """Let the driver be there for a test."""
    driver = FakeDriver()
    for module in (cuda_driver, cuda_memory):
        patch.setattr(module, 'load_library', lambda: driver)
    patch.setattr(cuda_memory.CudaStream, '_shared', weakref.WeakValueDictionary())
    patch.setattr(cuda_driver, '_KERNEL_MODULE', Path('/nowhere'))
    patch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    cuda_driver.driver_state.cache_clear()
    return driver


def install_tensorrt(patch: pytest.MonkeyPatch, driver: FakeDriver) -> FakeTensorRt:
    """Let TensorRT be there for a test."""
    trt = FakeTensorRt(driver)
    patch.setitem(sys.modules, 'tensorrt', trt)
    return trt
