# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

from importlib import metadata
import platform

from hyperseg_core.inference.cuda_driver import DriverState
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.machine import cpu_threads
from hyperseg_core.inference.machine import driver_version
from hyperseg_core.inference.machine import processor_name


def describe_machine() -> dict[str, str]:
    """Return processor, GPU, driver, threads and versions; nothing that names the machine."""
    versions = {}
    for name in ('torch', 'tensorrt', 'onnxruntime', 'openvino', 'numpy'):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = 'not installed'
    driver = driver_state()
    return {
        'gpu': described_gpus(driver),
        'driver': driver_version('cuda') if driver.devices else 'none',
        'processor': processor_name(),
        'threads': str(cpu_threads()),
        'python': platform.python_version(),
        **versions,
    }


def described_gpus(driver: DriverState) -> str:
    """Return the names of the NVIDIA GPUs with their architectures, or why there is none."""
    names = [
        f'{item.name} (sm_{item.capability[0]}{item.capability[1]})' for item in driver.devices
    ]
    return ', '.join(names) or f'none: {driver.absence}'
