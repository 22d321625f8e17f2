# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from hyperseg_core import EngineError
from hyperseg_core import load_checkpoint
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import graph_engine
from hyperseg_core.inference.preparation import serialised_graph


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


@pytest.mark.parametrize(
    'shape', [(1, 1, 1, 3), (128, 192, 3), (1, 128, 192, 1), (2, 128, 192, 3)]
)
def test_frames_of_another_shape_are_refused_not_stretched(shape: tuple[int, ...]) -> None:
    pytest.importorskip('openvino')
    spec = EngineSpec('openvino', 'cpu', 'f32')
    task = Task(load_checkpoint('fast'), 1, (128, 192), (128, 192))
    engine = graph_engine('openvino')(serialised_graph(task, spec), spec, NoFiles())
    with pytest.raises(EngineError, match=r'compiled for frames \(1, 128, 192, 3\), not'):
        engine.run(np.zeros(shape, np.uint8))
    engine.close()
