# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from hyperseg_ros.viewer.pairing import Pairing


def test_what_has_one_stamp_is_shown_when_all_is_there() -> None:
    pairing = Pairing(['picture', 'ids'])
    assert pairing.add('picture', (1, 0), 'p1', 0.0) is None
    assert pairing.add('picture', (2, 0), 'p2', 0.1) is None
    assert pairing.add('ids', (1, 0), 'i1', 0.2) == ((1, 0), {'picture': 'p1', 'ids': 'i1'})
    assert pairing.add('ids', (2, 0), 'i2', 0.3) == ((2, 0), {'picture': 'p2', 'ids': 'i2'})


def test_the_mask_may_come_before_its_picture() -> None:
    pairing = Pairing(['picture', 'ids'])
    assert pairing.add('ids', (1, 0), 'i1', 0.0) is None
    assert pairing.add('picture', (1, 0), 'p1', 0.1) is not None


def test_pictures_alone_are_shown_when_no_mask_comes() -> None:
    pairing = Pairing(['picture', 'ids'])
    shown = [pairing.add('picture', (i, 0), i, 0.1 * i) for i in range(40)]
    assert shown[:20] == [None] * 20
    assert shown[-1] == ((39, 0), {'picture': 39})


def test_confidence_is_waited_for_only_when_it_is_expected() -> None:
    pairing = Pairing(['picture', 'ids'])
    pairing.expect(['picture', 'ids', 'confidence'])
    pairing.add('picture', (1, 0), 'p', 0.0)
    assert pairing.add('ids', (1, 0), 'i', 0.0) is None
    assert pairing.add('confidence', (1, 0), 'c', 0.0) is not None


def test_a_bag_that_begins_anew_is_shown() -> None:
    pairing = Pairing(['picture', 'ids'])
    for stamp in ((50, 0), (1, 0)):
        pairing.add('picture', stamp, 'p', 0.0)
        assert pairing.add('ids', stamp, 'i', 0.0) is not None


def test_masks_alone_are_shown_when_their_bag_begins_anew() -> None:
    pairing = Pairing(['picture', 'ids'])
    first = [pairing.add('ids', (100 + i, 0), i, 0.1 * i) for i in range(40)]
    again = [pairing.add('ids', (100 + i, 0), i, 4 + 0.1 * i) for i in range(40)]
    assert first[-1] is not None
    assert again[-1] is not None
    pairing = Pairing(['picture', 'ids'])
    for i in range(40):
        pairing.add('ids', (100 + i, 0), i, 0.1 * i)
    shown = [pairing.add('ids', (i, 0), i, 4 + 0.1 * i) for i in range(30)]
    assert shown[0] is None
    assert shown[-1] == ((29, 0), {'ids': 29})


def test_what_never_pairs_does_not_pile_up() -> None:
    pairing = Pairing(['picture', 'ids'])
    for i in range(10_000):
        pairing.add('picture', (2 * i, 0), 'p', 0.001 * i)
        pairing.add('ids', (2 * i + 1, 0), 'i', 0.001 * i)
    assert len(pairing._waiting) <= 33
