# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

from importlib import metadata
import platform

from hyperseg_core.inference.machine import cpu_threads
from hyperseg_core.inference.machine import processor_name


def describe_machine() -> dict[str, str]:
    """Return processor, threads and versions; nothing that names the machine."""
    versions = {}
    for name in ('torch', 'onnxruntime', 'openvino', 'numpy'):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = 'not installed'
    return {
        'processor': processor_name(),
        'threads': str(cpu_threads()),
        'python': platform.python_version(),
        **versions,
    }
