# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from hyperseg_core.commands.doctor import Need
from hyperseg_core.commands.doctor import print_report


def test_doctor_names_what_is_missing_for_what_and_what_to_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = "pip install 'hyperseg_ros[unicorns]'"
    print_report([Need('unicorns', 'magic', line)], [('[red]odd[/red]', 'yes', '')])
    told = capsys.readouterr().out
    assert f'unicorns is missing (magic): {line}\n' in told
    assert '[red]odd[/red]' in told
    assert 'auto, choice 1: ' in told
