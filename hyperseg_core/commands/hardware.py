# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

import platform

import numpy as np

from hyperseg_core.inference.cuda_driver import DriverState
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.engine import ENGINES
from hyperseg_core.inference.engine import EngineName
from hyperseg_core.inference.engine import engine_version
from hyperseg_core.inference.engine import is_installed
from hyperseg_core.inference.machine import cpu_threads
from hyperseg_core.inference.machine import driver_version
from hyperseg_core.inference.machine import processor_name


def describe_machine() -> dict[str, str]:
    """Return processor, GPU, driver, threads and versions; nothing that names the machine."""
    driver = driver_state()
    return {
        'gpu': described_gpus(driver),
        'driver': driver_version('cuda') if driver.devices else 'none',
        'processor': processor_name(),
        'threads': str(cpu_threads()),
        'python': platform.python_version(),
        **{name: found_version(name) for name in sorted(ENGINES)},
        'numpy': np.__version__,
    }


def found_version(name: EngineName) -> str:
    """Return the version of an engine's library, or why there is none."""
    if not is_installed(name):
        return 'not installed'
    try:
        return engine_version(name)
    except (ImportError, OSError) as error:
        return f'does not load: {error}'


def described_gpus(driver: DriverState) -> str:
    """Return the names of the NVIDIA GPUs with their architectures, or why there is none."""
    names = [
        f'{item.name} (sm_{item.capability[0]}{item.capability[1]})' for item in driver.devices
    ]
    return ', '.join(names) or f'none: {driver.absence}'
