# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from types import SimpleNamespace
from typing import Any

import pytest

from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.health import values
from hyperseg_ros.viewer.health import cause_without_cameras
from hyperseg_ros.viewer.health import cause_without_masks
from hyperseg_ros.viewer.health import owner_of
from hyperseg_ros.viewer.health import report


def status(message: str, found: list[tuple[str, str]], level: bytes = b'\x00') -> Any:
    return SimpleNamespace(
        name='/robot/segmenter: front', level=level, message=message, hardware_id='/image',
        values=[SimpleNamespace(key=key, value=value) for key, value in found],
    )  # fmt: skip


def test_numbers_of_the_nodes_own_diagnostics_are_read() -> None:
    health = StreamHealth()
    for _ in range(3):
        health.frame_received()
    health.frame_dropped('too old', 'Frame is 0.7 s old.')
    health.frame_published()
    health.add_stages(wait=0.001, segment=0.012, age=0.020)
    told = report(status('0.5 masks/s', values(health.snapshot(), 'openvino on cpu, bf16')))
    assert told['engine'] == 'openvino on cpu, bf16'
    assert told['precision'] == 'bf16'
    assert told['rates_hz'] == {'in': 1.5, 'out': 0.5}
    assert told['counts'] == {'received': 3, 'published': 1, 'dropped': 1}
    assert told['drops'] == {'too old': 1}
    assert told['stages_ms']['age'] == [20.0, 20.0, 20.0]
    assert told['stages_ms']['segment'][0] == 12.0
    assert told['cause'] == ''
    assert told['topic'] == '/image'
    assert told['more'] == {}


def test_silence_is_told_by_the_nodes_message() -> None:
    told = report(status('nothing publishes on /image', [], b'\x01'))
    assert told['level'] == 'warn'
    assert told['cause'] == 'nothing publishes on /image'


@pytest.mark.parametrize('text', ['nan', 'inf / 1.0 / 1.0', '', '1 / 2', 'fast', '1e999'])
def test_numbers_that_are_none_are_kept_as_text(text: str) -> None:
    found = [('rate in [Hz]', text), ('age p50/p95/p99 [ms]', text)]
    told = report(status('1.0 masks/s', found))
    assert told['rates_hz'] == {}
    assert told['stages_ms'] == {}
    assert told['more'] == dict(found)
    json.dumps(told, allow_nan=False)


def test_owner_is_node_and_camera() -> None:
    assert owner_of(status('', [])) == ('/robot/segmenter', 'front')
    assert owner_of(SimpleNamespace(name='battery')) == ('battery', '')


@pytest.mark.parametrize(
    ('lifecycle', 'silent_s', 'told'),
    [
        ('active', 1.0, 'nothing publishes'),
        ('active', None, 'nothing publishes'),
        ('inactive', 1.0, 'press `activate`'),
        ('unconfigured', None, 'not configured'),
        ('finalized', None, 'start it anew'),
        ('active', 9.0, 'nothing for 9 s'),
        ('', 9.0, 'nothing for 9 s'),
    ],
)
def test_cause_of_silence(lifecycle: str, silent_s: float | None, told: str) -> None:
    found = report(status('nothing publishes on /image', []))
    assert told in cause_without_masks('/segmenter', lifecycle, silent_s, found)


def test_a_failed_configuration_is_told_with_its_reason() -> None:
    found = report(status('Cannot configure: no such checkpoint.', [], b'\x02'))
    assert 'no such checkpoint' in cause_without_masks('/s', 'unconfigured', 0.5, found)


def test_an_active_node_without_cameras_says_what_keeps_them_from_being_found() -> None:
    assert 'may be remapped' in cause_without_cameras('/s', 'active')
    assert cause_without_cameras('/s', 'unconfigured') == ''
