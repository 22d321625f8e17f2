# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
import yaml

from hyperseg_core import load_labels
from hyperseg_core.errors import ConfigError
from hyperseg_core.resources import resource
from hyperseg_ros.node.parameter_files import documented
from hyperseg_ros.node.parameter_files import parameter_yaml
from hyperseg_ros.node.parameters import SPECS
from hyperseg_ros.node.parameters import NodeParameters
from hyperseg_ros.node.parameters import changed
from hyperseg_ros.node.parameters import problem_with
from hyperseg_ros.node.parameters import read_values


def test_yaml_and_documentation_are_made_of_the_table() -> None:
    assert resource('config', 'segmenter.yaml').read_text() == parameter_yaml()
    page = resource('docs', 'node.md').read_text()
    assert page == documented(page)
    assert '| `max_age_s` | `0.5` | 0 to 3600 | while running |' in page


def test_shipped_yaml_is_read_as_the_defaults() -> None:
    path = resource('config', 'segmenter.yaml')
    shipped = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    assert list(shipped) == [name for name in SPECS if name != 'size']
    assert read_values(shipped) == NodeParameters()


def test_every_parameter_is_described() -> None:
    assert all(len(spec.text) > 6 and spec.text.endswith('.') for spec in SPECS.values())


@pytest.mark.parametrize(
    ('name', 'value', 'told'),
    [
        ('max_age_s', 'soon', "max_age_s is 'soon', expected float, 0 to 3600 s"),
        ('max_age_s', -1.0, 'max_age_s is -1.0'),
        ('max_rate_hz', float('nan'), 'max_rate_hz is nan, expected a finite number'),
        ('max_rate_hz', float('inf'), 'max_rate_hz is inf'),
        ('engine', 'caffe', "engine is 'caffe', expected one of auto, "),
        ('precision', 16, 'precision is 16'),
        ('autostart', 1, 'autostart is 1, expected bool'),
        ('size', [384], 'size is [384], expected height and width'),
        ('size', [-64, 64], 'size is [-64, 64]'),
        ('size', [384.0, 512.0], 'size is [384.0, 512.0], expected list[int]'),
        ('cameras', ['front', 'front'], 'names that differ'),
        ('cameras', ['front-left'], "'front-left', which no topic can be called"),
        ('cameras', ['1st'], "e.g. 'camera_1st'"),
        ('cameras', ['a//b'], "e.g. 'a_b'"),
        ('cameras', 'front', "cameras is 'front', expected list[str]"),
        ('device', 'cuda:abc', "device is 'cuda:abc', expected auto, cpu"),
        ('classes', ['unicorn'], "No class or group 'unicorn'"),
        ('checkpoint', None, 'checkpoint is None, expected str'),
    ],
)
def test_wrong_values_are_named_with_what_is_expected(name: str, value: Any, told: str) -> None:
    assert told in problem_with(name, value, load_labels('camvid'))
    if name != 'classes':
        with pytest.raises(ConfigError):
            read_values({name: value})


def test_integers_are_taken_where_numbers_are_wanted() -> None:
    assert read_values({'max_age_s': 0}).max_age_s == 0.0
    assert isinstance(read_values({'max_age_s': 0}).max_age_s, float)
    assert read_values({'cameras': ['']}).cameras == ()
    assert read_values({'size': [384, 512]}).network_size == (384, 512)


def test_changes_leave_the_rest() -> None:
    before = read_values({'max_rate_hz': 5.0})
    after = changed(before, {'max_age_s': 1, 'classes': ['road']})
    assert (after.max_rate_hz, after.max_age_s, after.classes) == (5.0, 1.0, ('road',))


@pytest.mark.parametrize('value', [5, True, 'front', 1.5])
def test_what_is_no_list_is_told(value: object) -> None:
    assert f'cameras is {value!r}, expected list[str]' in problem_with('cameras', value)
    assert problem_with('cameras', None) == ''  # an empty list on the command line
