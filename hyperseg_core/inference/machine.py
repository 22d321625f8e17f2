# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to compute on: processors, CUDA devices, engines. Nothing heavy is imported."""

import ctypes
from dataclasses import dataclass
import functools
import os
from pathlib import Path
import platform

from hyperseg_core.inference.engine import ENGINES
from hyperseg_core.inference.engine import is_installed

_NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to choose from."""

    has_cuda: bool
    has_bf16: bool
    """Whether the CPU multiplies bfloat16 matrices in hardware (AMX or AVX-512 BF16)."""
    providers: tuple[str, ...]
    """Execution providers of the installed ONNX Runtime; not asked for where there is no CUDA."""
    installed: tuple[str, ...]
    """Engines whose libraries are there."""


def this_machine() -> Machine:
    """Look at the machine."""
    providers: tuple[str, ...] = ()
    # Only where there is a GPU its providers matter: the import takes a quarter of a second.
    if is_installed('onnxruntime') and has_cuda():
        from hyperseg_core.inference.engines.onnxruntime import import_onnxruntime

        providers = tuple(import_onnxruntime().get_available_providers())
    return Machine(
        has_cuda=has_cuda(),
        has_bf16=bool({'amx_bf16', 'avx512_bf16'} & _cpu_flags()),
        providers=providers,
        installed=tuple(name for name in ENGINES if is_installed(name)),
    )


def has_cuda() -> bool:
    """Tell whether the CUDA driver has a device."""
    return bool(cuda_devices())


@functools.cache
def cuda_devices() -> tuple[str, ...]:
    """Return the names of the CUDA devices, asked of the driver itself."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    names = []
    for index in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, _NAME_BYTES, device)
        names.append(name.value.decode(errors='replace'))
    return tuple(names)


def device_name(device: str) -> str:
    """Return what a device is called; built engines belong to it."""
    if device.startswith('cuda'):
        index = int(device.partition(':')[2] or 0)
        names = cuda_devices()
        return names[index] if index < len(names) else 'no CUDA device'
    return processor_name()


def driver_version(device: str) -> str:
    """Return the version of a device's driver; built engines belong to it. CPUs have none."""
    if not device.startswith('cuda'):
        return 'none'
    try:
        text = Path('/proc/driver/nvidia/version').read_text(encoding='utf-8')
    except OSError:
        return 'unknown'
    return text.partition('\n')[0]


def processor_name() -> str:
    """Return the name of the processor."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            lines = [line for line in file if line.startswith('model name')]
    except OSError:
        lines = []
    return lines[0].partition(':')[2].strip() if lines else platform.machine()


def cpu_features() -> str:
    """Return what the processor can, as one word: engines compile for it."""
    return ' '.join(sorted(_cpu_flags()))


def cpu_threads() -> int:
    """Return how many CPUs this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    )


def _cpu_flags() -> frozenset[str]:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            line = next((line for line in file if line.startswith(('flags', 'Features'))), '')
    except OSError:
        return frozenset()
    return frozenset(line.partition(':')[2].split())
