# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from typing import Any

import pytest

from hyperseg_ros.node.health import Snapshot
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.health import cause_of_silence
from hyperseg_ros.node.health import values
from hyperseg_ros.node.sequence_gaps import SequenceGaps


def _silence(**changes: Any) -> str:
    snapshot = Snapshot(
        received=0, published=0, drops={}, rate_in_hz=0.0, rate_out_hz=0.0, stages_ms={},
        is_silent=True,
    )  # fmt: skip
    known: dict[str, Any] = {
        'topic': '/cam', 'num_publishers': 1, 'similar': [], 'wrong_type': '', 'qos_problem': '',
        'is_building': False, 'failure': '',
    }  # fmt: skip
    for name, value in changes.items():
        if name in known:
            known[name] = value
        else:
            setattr(snapshot, name, value)
    return cause_of_silence(snapshot, **known)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'failure': 'no memory'}, 'the engine failed: no memory'),
        ({'is_building': True}, 'still building'),
        ({'wrong_type': 'x/msg/Y; remap'}, '/cam carries x/msg/Y; remap'),
        ({'qos_problem': 'incompatible reliability'}, 'qos_overrides./cam.subscription'),
        ({'num_publishers': 0}, 'nor images on any other topic'),
        ({'num_publishers': 0, 'similar': ['/a', '/b']}, 'topics with images: /a, /b'),
        ({}, 'but no frame arrives'),
        ({'recent_lost': 7}, '7 frame(s) got lost in the last second; start the camera with'),
        (
            {
                'recent_drops': Counter({'too old': 9, 'size': 1}),
                'problems': {'too old': 'age 3 s', 'size': '9000 x 9000 px'},
            },
            '9 frame(s) dropped in the last second, too old: age 3 s',
        ),
        ({'rate_in_hz': 5.0}, 'frames arrive and are being worked on'),
    ],
)
def test_silence_has_one_cause_in_one_line(changes: dict[str, Any], told: str) -> None:
    line = _silence(**changes)
    assert told in line
    assert '\n' not in line


def test_the_commonest_cause_is_told_with_its_own_last_problem() -> None:
    health = StreamHealth()
    for _ in range(3):
        health.frame_dropped('no camera_info', 'none has come.')
    health.frame_dropped('bad mask', 'it holds the id 200')
    told = health.snapshot().commonest_drop('mask(s) left out')
    assert told == '3 mask(s) left out in the last second, no camera_info: none has come'


def test_every_frame_is_counted_once_and_losses_apart() -> None:
    health = StreamHealth()
    for _ in range(5):
        health.frame_received()
    health.frame_dropped('too old', 'age 3 s')
    health.frame_dropped('too old')
    health.frame_published()
    health.frames_lost(3)
    health.add_stages(decode=0.002)
    first, second = health.snapshot(), health.snapshot()
    assert (first.received, first.published, first.drops) == (5, 1, {'too old': 2})
    assert (first.lost, first.recent_lost, second.recent_lost) == (3, 3, 0)
    assert (first.recent_drops, second.recent_drops) == (Counter({'too old': 2}), Counter())
    assert first.stages_ms['decode'][0] == pytest.approx(2.0)
    found = dict(values(first, 'fast'))
    assert found['dropped'] == '2'
    assert found['lost on the way'] == '3'
    assert found['engine'] == 'fast'


def test_frames_that_nobody_read_are_told_apart_from_lost_ones() -> None:
    health = StreamHealth()
    health.frame_received()
    health.frame_received(missing=5)
    health.frames_lost(2)
    found = dict(values(health.snapshot(), 'fast'))
    assert (found['received'], found['lost on the way'], found['replaced unread']) == (
        '2',
        '2',
        '3',
    )


def test_gaps_are_counted_for_each_publisher() -> None:
    def info(number: int | None, publisher: bytes) -> dict[str, Any]:
        return {'publication_sequence_number': number, 'publisher_gid': {'data': publisher}}

    gaps = SequenceGaps()
    arrivals = [(7, b'a'), (8, b'a'), (2, b'b'), (11, b'a'), (3, b'b'), (1, b'b'), (None, b'a')]
    assert [gaps.before(info(*arrival)) for arrival in arrivals] == [0, 0, 0, 2, 0, 0, 0]
    # Without ids, a number that goes back means several publishers, or a new one.
    gaps = SequenceGaps()
    counts = [gaps.before({'publication_sequence_number': number}) for number in (4, 6, 1, 900)]
    assert counts == [0, 1, 0, 0]
    assert SequenceGaps().before({'source_timestamp': 1}) == 0


def test_rates_of_fast_cameras_are_right() -> None:
    health = StreamHealth()
    for _ in range(1000):
        health.frame_received()
    assert health.snapshot().rate_in_hz == 500.0
