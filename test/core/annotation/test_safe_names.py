# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from hyperseg_core.annotation.names import frame_name
from hyperseg_core.annotation.names import safe_names

ODD = ['/a/b', '/a_b', '/A/b', '/улица', '/дом', 'con', 'a' * 300, 'a' * 301, '', '..', 'x\udc80']


def test_plain_names_are_readable() -> None:
    assert safe_names(['/front/image_raw', 'street']) == {
        '/front/image_raw': 'front-image-raw', 'street': 'street',
    }  # fmt: skip


def test_every_name_is_safe_and_its_own() -> None:
    names = safe_names(ODD)
    assert len({name.lower() for name in names.values()}) == len(ODD)
    for name in names.values():
        assert re.fullmatch(r'[A-Za-z0-9-]{1,60}', name), name
        assert name.lower() != 'con'


def test_names_do_not_depend_on_the_order() -> None:
    assert safe_names(ODD) == safe_names(reversed(ODD))


@pytest.mark.parametrize('stamp_ns', [0, 1_700_000_000_123_456_789, -5])
def test_a_frames_name_carries_bag_topic_and_stamp(stamp_ns: int) -> None:
    bag, topic, stamp = frame_name('street', 'front-image-raw', stamp_ns).split('_')
    assert (bag, topic, int(stamp)) == ('street', 'front-image-raw', stamp_ns)
