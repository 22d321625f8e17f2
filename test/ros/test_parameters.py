# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy')

from rclpy.parameter import Parameter

from hyperseg_core.resources import resource
from hyperseg_ros.parameters import PARAMETERS
from hyperseg_ros.parameters import NodeParameters
from hyperseg_ros.rate_limit import RateLimit


def test_yaml_has_the_tables_keys_and_defaults() -> None:
    path = resource('config', 'segmenter.yaml')
    shipped = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    table = {}
    for name, (default, _) in PARAMETERS.items():
        if default is Parameter.Type.STRING_ARRAY:
            table[name] = ['']  # ROS YAML has no empty list; an empty name means none
        elif not isinstance(default, Parameter.Type):
            table[name] = default
    assert shipped == table
    assert list(shipped) == list(table)
    assert '# size: [384, 512]' in path.read_text()


def test_every_parameter_is_described_and_read() -> None:
    assert set(NodeParameters.__slots__) == set(PARAMETERS)
    assert all(len(descriptor.description) > 10 for _, descriptor in PARAMETERS.values())


@pytest.mark.parametrize(('camera_hz', 'expected'), [(30.0, 100), (10.0, 100), (7.0, 70)])
def test_rate_limit_holds_on_average_and_passes_a_camera_of_that_rate(
    camera_hz: float, expected: int
) -> None:
    limit = RateLimit()
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, int(10 * camera_hz))
    arrivals = np.arange(len(jitter)) / camera_hz + jitter
    admitted = sum(limit.admits(float(moment), 10.0) for moment in arrivals)
    assert admitted == pytest.approx(expected, abs=2)
    assert admitted <= 101
    assert all(limit.admits(moment, 0.0) for moment in (0.0, 0.0, 0.1))
