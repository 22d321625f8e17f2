# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT by its own Python package, as apt brings it on a Jetson and pip on a PC.

Plans are kept with the hash of their bytes; one that TensorRT does not take, or that was changed,
is built anew. Memory and streams are the driver's: no PyTorch, no CUDA packages.
"""

import contextlib
import logging
from typing import Any

from hyperseg_core.deploy.graph import INPUT_NAME
from hyperseg_core.deploy.graph import OUTPUT_NAMES
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.cache import CacheEntry
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import require
from hyperseg_core.inference.engines.cuda_memory import CudaBuffer
from hyperseg_core.inference.engines.cuda_memory import CudaStream
from hyperseg_core.inference.engines.tensorrt_builder import build_plan
from hyperseg_core.inference.engines.tensorrt_builder import builder_options
from hyperseg_core.inference.engines.tensorrt_builder import forget_errors
from hyperseg_core.inference.engines.tensorrt_builder import said
from hyperseg_core.inference.engines.tensorrt_builder import shared_logger
from hyperseg_core.inference.machine import capability
from hyperseg_core.inference.machine import device_name
from hyperseg_core.inference.machine import driver_version
from hyperseg_core.inference.progress import current_report

_logger = logging.getLogger(__name__)
_PLAN, _TIMINGS = 'tensorrt.plan', 'tensorrt.timings'
_OLDEST = (10, 3)
"""JetPack 6.1's; the interface that is used here is whole from then on."""


def import_tensorrt() -> Any:
    """Import TensorRT with its libraries.

    Raises:
        EngineError: If it is missing, too old, or its libraries do not load.
    """
    require('tensorrt')
    try:
        import tensorrt
    except (ImportError, OSError) as err:
        msg = f'TensorRT is installed, but does not load: {err}.'
        raise EngineError(msg) from err
    version = str(getattr(tensorrt, '__version__', '0'))
    numbers = tuple(int(part) for part in version.split('.')[:2] if part.isdigit())
    if numbers < _OLDEST:
        msg = (
            f'TensorRT {version} is installed, but {_OLDEST[0]}.{_OLDEST[1]} or later is needed: '
            f'`pip install tensorrt`, or on a Jetson JetPack 6.1 or later.'
        )
        raise EngineError(msg)
    return tensorrt


def check_runs(spec: EngineSpec) -> None:
    """Check that TensorRT loads.

    Raises:
        EngineError: If not, with the reason.
    """
    import_tensorrt()


class TensorRtEngine:
    """A plan that was built or read, and its memory."""

    _is_open = False

    def __init__(self, graph: bytes, spec: EngineSpec, files: EngineFiles) -> None:
        """Load the plan, or build one from a serialised graph.

        Raises:
            EngineError: If TensorRT or the device fails.
        """
        self._trt = import_tensorrt()
        self._buffers: dict[str, CudaBuffer] = {}
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        # TensorRT works on the thread's device.
        self._stream = CudaStream.of(spec.cuda_index)
        self._is_open = True
        try:
            self._runtime = self._trt.Runtime(shared_logger(self._trt))
            self._engine = self._loaded(files.read(_PLAN))
            if self._engine is None:
                self._engine = self._built(graph, spec, files)
            self._context = self._engine.create_execution_context()
            if self._context is None:
                msg = f'TensorRT has no memory to run in: {said(self._trt)}'
                raise EngineError(msg)
            for name in (INPUT_NAME, *OUTPUT_NAMES):
                shape = tuple(self._engine.get_tensor_shape(name))
                buffer = self._buffers[name] = self._stream.buffer(shape)
                self._context.set_tensor_address(name, buffer.address)
        except Exception:
            self.close()
            raise

    @property
    def frames(self) -> Bytes | None:
        """Where frames are best written, see `PinnedEngine`; nowhere once it is closed."""
        buffer = self._buffers.get(INPUT_NAME)
        return buffer.array if buffer is not None else None

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        self._stream.enter()
        buffer = self._buffers[INPUT_NAME]
        if frames is not buffer.array:
            buffer.array[...] = frames
        buffer.upload()
        forget_errors(self._trt)
        if not self._context.execute_async_v3(self._stream.handle):
            self._stream.wait()  # says so where the device is gone
            msg = f'TensorRT does not run: {said(self._trt)}'
            raise EngineError(msg)
        for name in OUTPUT_NAMES:
            self._buffers[name].download()
        self._stream.wait()
        ids, confidence = (self._buffers[name].array.copy() for name in OUTPUT_NAMES)
        return ids, confidence

    def close(self) -> None:
        """Release plan and memory, in this order."""
        if not self._is_open:
            return
        self._is_open = False
        with contextlib.suppress(EngineError):  # of a lost device nothing is left to release
            self._stream.enter()
        self._context = self._engine = self._runtime = None
        for buffer in self._buffers.values():
            buffer.close()
        self._buffers = {}
        del self._stream  # others may have it

    def __del__(self) -> None:
        """Release an engine that was let go of: another thread might have run it still."""
        self.close()

    def _loaded(self, plan: bytes | None) -> Any:
        """Return the engine of a plan; None where there is none, or TensorRT refuses it."""
        if plan is None:
            return None
        forget_errors(self._trt)
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            reason = said(self._trt)
            _logger.warning('TensorRT refuses the kept plan; it is built anew. %s', reason)
        return engine

    def _built(self, graph: bytes, spec: EngineSpec, files: EngineFiles) -> Any:
        # What was measured of kernels helps every graph of the same device and version.
        with CacheEntry(timing_key(self._trt, spec)) as kept:
            timings = kept.read(_TIMINGS) or b''
        plan = build_plan(self._trt, graph, builder_options(spec), timings, current_report())
        files.write(_PLAN, plan.data)
        if plan.timings:
            with CacheEntry(timing_key(self._trt, spec)) as kept:
                kept.write(_TIMINGS, plan.timings)
                kept.record({})
        forget_errors(self._trt)
        engine = self._runtime.deserialize_cuda_engine(plan.data)
        if engine is None:
            msg = f'TensorRT does not take the plan that it built: {said(self._trt)}'
            raise EngineError(msg)
        return engine


def timing_key(trt: Any, spec: EngineSpec) -> dict[str, Any]:
    """Return what measured times of kernels depend on."""
    return {
        'timings of TensorRT': str(trt.__version__),
        'device': device_name(spec.device),
        'capability': capability(spec.device),
        'driver': driver_version(spec.device),
    }
