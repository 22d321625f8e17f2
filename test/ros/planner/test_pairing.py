# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from hyperseg_ros.planner.pairing import PairRules
from hyperseg_ros.planner.pairing import StampPairer

MS = 10**6


def test_a_cloud_waits_for_a_mask_that_is_not_older_and_takes_the_nearest() -> None:
    pairer: StampPairer[str, str] = StampPairer([0.0], PairRules(max_difference_s=0.06))
    pairer.add_mask(0, 'before', 70 * MS)
    pairer.add_cloud('cloud', 100 * MS, now_s=0.0)
    assert not pairer.ready(0.1)  # a nearer one may come
    pairer.add_mask(0, 'after', 110 * MS)
    (found,) = pairer.ready(0.2)
    assert found.cloud == 'cloud'
    assert found.masks == {0: ('after', 110 * MS)}
    assert not pairer.is_waiting


def test_exact_pairs_have_one_stamp() -> None:
    pairer: StampPairer[str, str] = StampPairer([0.0], PairRules(is_exact=True, wait_s=1.0))
    pairer.add_cloud('cloud', 100 * MS, now_s=0.0)
    pairer.add_mask(0, 'near', 101 * MS)
    assert not pairer.ready(0.5)
    pairer.add_mask(0, 'same', 100 * MS)
    assert pairer.ready(0.6)[0].masks == {0: ('same', 100 * MS)}
    pairer.add_cloud('other', 105 * MS, now_s=1.0)
    (lost,) = pairer.ready(2.1)
    assert lost.masks == {}
    assert lost.nearest_s == 0.004


def test_stamps_that_never_pair_are_told_with_their_distance() -> None:
    pairer: StampPairer[str, str] = StampPairer([0.0], PairRules(wait_s=0.5))
    pairer.add_cloud('cloud', 0, now_s=0.0)
    assert not pairer.ready(0.4)
    (found,) = pairer.ready(0.5)
    assert (found.masks, found.nearest_s) == ({}, None)
    pairer.add_mask(0, 'old', -3000 * MS)
    pairer.add_cloud('cloud', 0, now_s=1.0)
    (found,) = pairer.ready(1.5)
    assert (found.masks, found.nearest_s) == ({}, 3.0)


def test_cameras_have_offsets_of_their_own_and_one_may_be_missing() -> None:
    pairer: StampPairer[str, str] = StampPairer([0.0, -0.03], PairRules(max_difference_s=0.01))
    pairer.add_cloud('cloud', 100 * MS, now_s=0.0)
    pairer.add_mask(1, 'rear', 130 * MS)
    assert not pairer.ready(0.1)  # the front's may come
    (found,) = pairer.ready(0.6)
    assert found.masks == {1: ('rear', 100 * MS)}


def test_time_that_goes_back_is_just_another_stamp() -> None:
    pairer: StampPairer[str, str] = StampPairer([0.0], PairRules())
    pairer.add_mask(0, 'first round', 9000 * MS)
    pairer.add_mask(0, 'again', 1000 * MS)
    pairer.add_cloud('cloud', 1000 * MS, now_s=0.0)
    assert pairer.ready(0.0)[0].masks == {0: ('again', 1000 * MS)}


def test_what_waits_is_bounded() -> None:
    pairer: StampPairer[int, int] = StampPairer([0.0], PairRules(wait_s=100.0))
    lost = sum(pairer.add_cloud(index, index, now_s=0.0) for index in range(20))
    assert lost == 12
    for index in range(100):
        pairer.add_mask(0, index, -index - 1)
    assert pairer.clear() == 8
    assert not pairer.is_waiting
