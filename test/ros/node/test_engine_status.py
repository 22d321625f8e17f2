# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus

from hyperseg_core.inference.cuda_driver import DriverState
from hyperseg_core.inference.progress import BuildProgress
from hyperseg_ros.node import engine_status

NODE: Any = SimpleNamespace(get_fully_qualified_name=lambda: '/front/segmenter')
OK, ERROR = DiagnosticStatus.OK, DiagnosticStatus.ERROR
NONE = DriverState(absence='no NVIDIA driver')
BROKEN = DriverState(absence='cuInit failed', is_broken=True)
BUILD = 'TensorRT builds an engine: Building engine, 40%.'
LOSS = 'tensorrt on cuda, f16 was lost: no reason'


@pytest.mark.parametrize(
    ('driver', 'is_cpu', 'loss', 'failure', 'text', 'level', 'message'),
    [
        (NONE, False, '', '', '', OK, 'openvino on cpu, f32'),
        (NONE, False, '', '', BUILD, OK, BUILD),
        (NONE, False, LOSS, '', '', ERROR, f'{LOSS}; openvino on cpu, f32 is in use'),
        (NONE, False, '', 'gone', '', ERROR, 'gone; openvino on cpu, f32 is in use'),
        (BROKEN, True, '', '', '', OK, 'openvino on cpu, f32'),
        (
            BROKEN, False, '', '', '', ERROR,
            'the NVIDIA driver is broken: cuInit failed; openvino on cpu, f32 is in use',
        ),
    ],
)  # fmt: skip
def test_engine_is_told_with_what_is_wrong(
    driver: DriverState,
    loss: str,
    failure: str,
    text: str,
    level: bytes,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_cpu: bool,
) -> None:
    monkeypatch.setattr(engine_status, 'driver_state', lambda: driver)
    worker: Any = SimpleNamespace(engine='openvino on cpu, f32', loss=loss, failure=failure)
    progress = BuildProgress()
    progress.report(text)
    status = engine_status.engine_status(NODE, worker, progress, is_cpu=is_cpu)
    assert status.name == '/front/segmenter: engine'
    assert (status.level, status.message) == (level, message)
    values = {item.key: item.value for item in status.values}
    assert values['being built'] == (text or 'nothing')
    assert values['NVIDIA driver'] == driver.absence
