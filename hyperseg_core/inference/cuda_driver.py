# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's driver, asked by ctypes: what devices there are, and memory and streams on them.

The driver's library comes with the driver itself, so neither PyTorch nor CUDA's runtime nor its
Python packages are needed. Its contexts and streams are those that these use.
"""

import ctypes
from dataclasses import dataclass
import functools
import os
from pathlib import Path
from typing import Any

from hyperseg_core.errors import EngineError

_LIBRARY = 'libcuda.so.1'
_KERNEL_MODULE = Path('/proc/driver/nvidia/version')
_VISIBLE = 'CUDA_VISIBLE_DEVICES'
_DEVICE_NAMES = (*'0123456789', 'GPU-', 'MIG-')
"""How the variable's first entry begins where it names a device; any other one hides all."""
_NAME_BYTES = 256
_OUT_OF_MEMORY, _NO_DEVICE = 2, 100
_CAPABILITY_ATTRIBUTES = (75, 76)
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """One GPU."""

    name: str
    capability: tuple[int, int]
    """Compute capability: (8, 7) is sm_87."""


@dataclass(frozen=True, slots=True)
class DriverState:
    """What the driver said of itself."""

    devices: tuple[CudaDevice, ...] = ()
    version: str = ''
    """The latest CUDA version that it runs, 13.0; '' where there is no driver."""
    absence: str = ''
    """Why there is no device; '' where there is one."""
    is_broken: bool = False
    """Whether a driver is there and fails: it should work, and a CPU in its place is a fault."""


@functools.cache
def driver_state() -> DriverState:
    """Ask the driver, once in a process."""
    try:
        library = load_library()
    except OSError as err:
        if _KERNEL_MODULE.exists():
            return DriverState(
                absence=f'a driver is loaded, but not its library ({err}); start a container '
                f'with `--gpus all` or `--runtime nvidia`, or ask for `device: cpu`',
                is_broken=True,
            )
        return DriverState(absence='no NVIDIA driver')
    try:
        return _asked(DriverApi(library))
    except EngineError as err:
        return DriverState(absence=str(err), is_broken=True)


def load_library() -> Any:
    """Load the driver's library.

    Raises:
        OSError: If there is none.
    """
    return ctypes.CDLL(_LIBRARY)


def _asked(api: 'DriverApi') -> DriverState:
    code = api.library.cuInit(0)
    if code == _NO_DEVICE:
        return _no_device()
    api.check(code, 'cuInit')
    number = ctypes.c_int()
    api.call('cuDriverGetVersion', ctypes.byref(number))
    version = f'{number.value // 1000}.{number.value % 1000 // 10}'
    api.call('cuDeviceGetCount', ctypes.byref(number))
    devices = tuple(_device(api, index) for index in range(number.value))
    return DriverState(devices, version) if devices else _no_device()


def _no_device() -> DriverState:
    """Say why a driver that works has no device: a loaded module has one, unless it is hidden."""
    visible = os.environ.get(_VISIBLE)
    if visible is not None and not visible.strip().startswith(_DEVICE_NAMES):
        return DriverState(absence=f'{_VISIBLE}={visible} hides every device')
    if not _KERNEL_MODULE.exists():
        return DriverState(absence='the driver sees no device')
    asked = f' of {_VISIBLE}={visible}' if visible is not None else ''
    return DriverState(
        absence=f'a driver is loaded, but sees no device{asked}; `nvidia-smi` and `dmesg` say '
        f'whether the GPU fell off the bus',
        is_broken=True,
    )


def _device(api: 'DriverApi', index: int) -> CudaDevice:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    api.call('cuDeviceGet', ctypes.byref(device), index)
    api.call('cuDeviceGetName', name, _NAME_BYTES, device)
    numbers = []
    for attribute in _CAPABILITY_ATTRIBUTES:
        number = ctypes.c_int()
        api.call('cuDeviceGetAttribute', ctypes.byref(number), attribute, device)
        numbers.append(number.value)
    return CudaDevice(name.value.decode(errors='replace'), (numbers[0], numbers[1]))


class DriverApi:
    """Calls the driver and turns its codes into errors."""

    def __init__(self, library: Any) -> None:
        """Take the loaded library."""
        self.library = library

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function that returns a code.

        Raises:
            EngineError: If the code is an error; `lost` for all but a lack of memory.
        """
        self.check(getattr(self.library, function)(*arguments), function)

    def check(self, code: int, function: str) -> None:
        """Do nothing if a code is success.

        Raises:
            EngineError: Otherwise.
        """
        if code == 0:
            return
        name = ctypes.c_char_p()
        self.library.cuGetErrorName(code, ctypes.byref(name))
        described = (name.value or b'unknown error').decode(errors='replace')
        msg = f'CUDA driver: {function} failed with {described} ({code})'
        if code == _OUT_OF_MEMORY:
            raise EngineError(f'{msg}: the GPU is out of memory')
        raise EngineError(msg, lost=True)
