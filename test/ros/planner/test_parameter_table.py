# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy')

from hyperseg_core.errors import ConfigError
from hyperseg_core.resources import resource
from hyperseg_ros.planner.cloud_parameters import CloudParameters
from hyperseg_ros.planner.ground_parameters import GroundParameters
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.pairing import PairRules
from hyperseg_ros.planner.parameter_files import NODES
from hyperseg_ros.planner.parameter_files import documented
from hyperseg_ros.planner.parameter_files import planner_yaml


def test_yaml_and_documentation_are_made_of_the_tables() -> None:
    assert resource('config', 'planner.yaml').read_text() == planner_yaml()
    page = resource('docs', 'planner-nodes.md').read_text()
    assert page == documented(page)
    assert '| `range_max` | `15.0` | 0.2 to 500 | at configure |' in page


def test_shipped_yaml_holds_the_defaults() -> None:
    shipped = yaml.safe_load(resource('config', 'planner.yaml').read_text())
    for node, specs in NODES.items():
        values = shipped[f'/**/{node}']['ros__parameters']
        for name, value in values.items():
            default = specs[name].default
            given = [] if value == [''] else value
            assert given == (list(default) if isinstance(default, tuple) else default), name
        left_out = set(specs) - set(values)
        assert left_out <= {'camera_pose', 'time_offset_s'}


def test_every_parameter_is_described() -> None:
    for specs in NODES.values():
        assert all(len(spec.text) > 6 and spec.text.endswith('.') for spec in specs.values())


def test_defaults_are_those_of_the_functions() -> None:
    assert GroundParameters().layout() == GroundLayout()
    assert CloudParameters().paint_rules == PaintRules()
    assert CloudParameters().pair_rules == PairRules()


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'camera_pose': (0.0,) * 6, 'cameras': ('a', 'b')}, 'has 6 numbers, expected 12'),
        ({'time_offset_s': (0.1, 0.2)}, 'has 2 numbers, expected 1'),
        ({'cameras': ('a', 'a')}, 'expected names that differ'),
        ({'source': 'depth', 'cameras': ('a', 'b')}, 'leave `cameras` empty'),
    ],
)
def test_cloud_parameters_must_fit_together(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        CloudParameters(**changes).check()
