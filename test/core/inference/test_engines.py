# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ('library', 'module'), [('openvino', 'openvino'), ('onnxruntime', 'onnxruntime')]
)
def test_telemetry_is_off_before_the_import(library: str, module: str, tmp_path: Path) -> None:
    pytest.importorskip(library)
    code = f"""
import socket, sys
from hyperseg_core.inference.engines.{module} import import_{library}
import_{library}()
print(sorted(name for name in sys.modules if name.startswith('openvino_telemetry')))
"""
    environment = {
        'HOME': str(tmp_path),
        'PATH': '/usr/bin:/bin',
        'PYTHONPATH': ':'.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, '-c', code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == '[]'
    # ONNX Runtime's telemetry begins by writing an identifier of the device.
    assert not list(tmp_path.rglob('*'))
