# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was made on."""

from importlib import metadata
import platform

from hyperseg_core.inference.engines import cpu_threads


def describe_machine() -> dict[str, str]:
    """Return processor, threads and versions; nothing that names the machine."""
    versions = {}
    for name in ('torch', 'onnxruntime', 'openvino', 'numpy'):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = 'not installed'
    return {
        'processor': _processor(),
        'threads': str(cpu_threads()),
        'python': platform.python_version(),
        **versions,
    }


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            lines = [line for line in file if line.startswith('model name')]
    except OSError:
        return platform.machine()
    return lines[0].partition(':')[2].strip() if lines else platform.machine()
