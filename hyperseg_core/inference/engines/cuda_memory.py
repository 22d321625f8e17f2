# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixed memory on a GPU and beside it, and the stream that copies between them.

Over the driver's own interface: a robot needs nothing else for it.
"""

import ctypes
import threading
from typing import ClassVar
import weakref

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.inference.cuda_driver import DriverApi
from hyperseg_core.inference.cuda_driver import load_library

Bytes = NDArray[np.uint8]
_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING: what others ask of the default stream is not waited for."""


class CudaStream:
    """A stream of one device, in the context that CUDA's libraries share there."""

    _shared: ClassVar[weakref.WeakValueDictionary[int, 'CudaStream']] = (
        weakref.WeakValueDictionary()
    )
    _sharing: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def of(cls, device: int) -> 'CudaStream':
        """Return the one stream of a device; it lasts as long as somebody has it.

        Raises:
            EngineError: If the device does not open.
            OSError: If there is no driver.
        """
        with cls._sharing:
            stream = cls._shared.get(device)
            if stream is None:
                stream = cls._shared[device] = cls(device)
            return stream

    def __init__(self, device: int) -> None:
        """Open the device.

        Raises:
            EngineError: If that fails.
            OSError: If there is no driver.
        """
        self._context, self._stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._api = DriverApi(load_library())
        self._api.call('cuInit', 0)
        number = ctypes.c_int()
        self._api.call('cuDeviceGet', ctypes.byref(number), device)
        self._device = number.value
        self._api.call('cuDevicePrimaryCtxRetain', ctypes.byref(self._context), self._device)
        try:
            self.enter()
            self._api.call('cuStreamCreate', ctypes.byref(self._stream), _NON_BLOCKING)
        except Exception:
            self.close()
            raise

    @property
    def handle(self) -> int:
        """The stream, as libraries take it."""
        return self._stream.value or 0

    def enter(self) -> None:
        """Make the device this thread's: frames come on other threads than engines are built."""
        self._api.call('cuCtxSetCurrent', self._context)

    def wait(self) -> None:
        """Wait for all that was asked of the stream.

        Raises:
            EngineError: If any of it failed.
        """
        self._api.call('cuStreamSynchronize', self._stream)

    def buffer(self, shape: tuple[int, ...]) -> 'CudaBuffer':
        """Take memory for a uint8 array.

        Raises:
            EngineError: If there is not so much.
        """
        return CudaBuffer(self._api, self._stream, shape)

    def __del__(self) -> None:
        """Let go of stream and device, as the last engine on it is gone."""
        self.close()

    def close(self) -> None:
        """Let go of stream and device; of a lost one nothing is left to release."""
        if self._stream:
            self._api.library.cuStreamDestroy_v2(self._stream)
            self._stream = ctypes.c_void_p()
        if self._context:
            self._api.library.cuDevicePrimaryCtxRelease_v2(self._device)
            self._context = ctypes.c_void_p()


class CudaBuffer:
    """A uint8 array on the device, and its pinned twin on the host."""

    def __init__(self, api: DriverApi, stream: ctypes.c_void_p, shape: tuple[int, ...]) -> None:
        """Take memory on both sides."""
        self._api, self._stream = api, stream
        self._size = ctypes.c_size_t(int(np.prod(shape)))
        self._on_device, self._on_host = ctypes.c_uint64(), ctypes.c_void_p()
        api.call('cuMemAlloc_v2', ctypes.byref(self._on_device), self._size)
        try:
            api.call('cuMemHostAlloc', ctypes.byref(self._on_host), self._size, 0)
        except Exception:
            self.close()
            raise
        kind = ctypes.c_uint8 * self._size.value
        self.array: Bytes = np.ctypeslib.as_array(
            kind.from_address(self._on_host.value or 0)
        ).reshape(shape)
        """The pinned twin."""

    @property
    def address(self) -> int:
        """Where it is on the device."""
        return self._on_device.value

    def upload(self) -> None:
        """Ask the stream to copy from the host."""
        self._api.call(
            'cuMemcpyHtoDAsync_v2', self._on_device, self._on_host, self._size, self._stream
        )

    def download(self) -> None:
        """Ask the stream to copy to the host."""
        self._api.call(
            'cuMemcpyDtoHAsync_v2', self._on_host, self._on_device, self._size, self._stream
        )

    def close(self) -> None:
        """Release the memory; `array` must not be used afterwards."""
        if self._on_device:
            self._api.library.cuMemFree_v2(self._on_device)
            self._on_device = ctypes.c_uint64()
        if self._on_host:
            self._api.library.cuMemFreeHost(self._on_host)
            self._on_host = ctypes.c_void_p()
