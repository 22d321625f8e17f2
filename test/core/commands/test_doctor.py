# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import sys
from types import ModuleType

import pytest

from hyperseg_core.commands.doctor import NEEDS
from hyperseg_core.commands.doctor import Need
from hyperseg_core.commands.doctor import print_report
from hyperseg_core.commands.hardware import describe_machine


def test_version_of_an_engine_that_has_no_metadata_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trt = ModuleType('tensorrt')
    trt.__spec__ = importlib.util.spec_from_loader('tensorrt', None)
    trt.__version__ = '10.3.0'  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'tensorrt', trt)
    assert describe_machine()['tensorrt'] == '10.3.0'
    assert Need('tensorrt', '', '').found == '10.3.0'
    monkeypatch.delitem(sys.modules, 'tensorrt')
    if importlib.util.find_spec('tensorrt') is None:
        assert describe_machine()['tensorrt'] == 'not installed'
    (row,) = (need for need in NEEDS if need.module == 'tensorrt')
    assert 'python3-libnvinfer' in row.install


def test_doctor_names_what_is_missing_for_what_and_what_to_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = "pip install 'hyperseg_ros[unicorns]'"
    print_report([Need('unicorns', 'magic', line)], [('[red]odd[/red]', 'yes', '')])
    told = capsys.readouterr().out
    assert f'unicorns is missing (magic): {line}\n' in told
    assert '[red]odd[/red]' in told
    assert 'auto, choice 1: ' in told
