# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many threads OpenVINO gets, and whether they keep to certain CPUs."""

import pytest

from hyperseg_core.inference import machine
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engines import openvino

SPEC = EngineSpec('openvino', 'cpu', 'f32')


def _options(monkeypatch: pytest.MonkeyPatch, wanted: str, allowed: int) -> dict[str, object]:
    monkeypatch.setenv('OMP_NUM_THREADS', wanted)
    for module in (machine, openvino):
        monkeypatch.setattr(module, 'cpus_allowed', lambda: allowed)
    return openvino.openvino_options(SPEC)


@pytest.mark.parametrize('wanted', ['', '0', '-1', 'many', '4', '8'])
def test_all_cpus_are_used_and_kept_to(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    options = _options(monkeypatch, wanted, 4)
    assert options['INFERENCE_NUM_THREADS'] == 4
    assert 'ENABLE_CPU_PINNING' not in options


def test_some_cpus_are_left_to_others_and_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    options = _options(monkeypatch, '1', 4)
    assert options['INFERENCE_NUM_THREADS'] == 1
    assert options['ENABLE_CPU_PINNING'] is False
