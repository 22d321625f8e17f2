# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What there is to compute on: processors, CUDA devices, engines. Nothing heavy is imported."""

from dataclasses import dataclass
import os
from pathlib import Path
import platform

from hyperseg_core.inference.cuda_driver import CudaDevice
from hyperseg_core.inference.cuda_driver import DriverState
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.engine import ENGINES
from hyperseg_core.inference.engine import is_installed


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to choose from."""

    driver: DriverState
    """What NVIDIA's driver said."""
    has_bf16: bool
    """Whether the CPU multiplies bfloat16 matrices in hardware (AMX or AVX-512 BF16)."""
    installed: tuple[str, ...]
    """Engines whose packages are there; whether they load shows when they are tried."""

    @property
    def has_cuda(self) -> bool:
        """Whether the driver has a device."""
        return bool(self.driver.devices)


def this_machine() -> Machine:
    """Look at the machine."""
    return Machine(
        driver=driver_state(),
        has_bf16=bool({'amx_bf16', 'avx512_bf16'} & _cpu_flags()),
        installed=tuple(name for name in ENGINES if is_installed(name)),
    )


def device_name(device: str) -> str:
    """Return what a device is called; built engines belong to it."""
    if not device.startswith('cuda'):
        return processor_name()
    found = _cuda_device(device)
    return found.name if found is not None else 'no CUDA device'


def capability(device: str) -> str:
    """Return a device's compute capability, 8.7; kernels are made for it. CPUs have none."""
    found = _cuda_device(device)
    return '.'.join(map(str, found.capability)) if found is not None else 'none'


def driver_version(device: str) -> str:
    """Return the version of a device's driver; built engines belong to it. CPUs have none."""
    if not device.startswith('cuda'):
        return 'none'
    try:
        text = Path('/proc/driver/nvidia/version').read_text(encoding='utf-8').partition('\n')[0]
    except OSError:
        text = 'unknown'
    return f'{text}; CUDA {driver_state().version}'


def _cuda_device(device: str) -> CudaDevice | None:
    if not device.startswith('cuda'):
        return None
    index = int(device.partition(':')[2] or 0)
    devices = driver_state().devices
    return devices[index] if index < len(devices) else None


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


def cpus_allowed() -> int:
    """Return how many CPUs this process may run on."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    )


def cpu_threads() -> int:
    """Return how many threads an engine may have: OMP_NUM_THREADS, but no more than CPUs."""
    wanted = os.environ.get('OMP_NUM_THREADS', '')
    allowed = cpus_allowed()
    return min(allowed, int(wanted)) if wanted.isdecimal() and int(wanted) else allowed


def _cpu_flags() -> frozenset[str]:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            line = next((line for line in file if line.startswith(('flags', 'Features'))), '')
    except OSError:
        return frozenset()
    return frozenset(line.partition(':')[2].split())
