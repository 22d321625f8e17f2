# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from hyperseg_ros.planner.pairing import MAX_CLOUDS
from hyperseg_ros.planner.pairing import MAX_MIB
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


def test_fast_clouds_wait_for_masks_that_come_much_later() -> None:
    pairer: StampPairer[int, int] = StampPairer([0.0], PairRules(wait_s=0.5))
    found, num_masks = [], 0
    for index in range(60):  # 30 Hz, and masks 0.35 s later
        now_s = index / 30
        assert pairer.add_cloud(index, index * 33 * MS, now_s, size=5_000_000) == 0
        while num_masks / 30 + 0.35 <= now_s:
            pairer.add_mask(0, num_masks, num_masks * 33 * MS)
            num_masks += 1
        found += pairer.ready(now_s)
    assert [item.cloud for item in found] == list(range(num_masks))
    assert all(item.masks[0][0] == item.cloud for item in found)


def test_what_waits_is_bounded_by_count_and_by_bytes() -> None:
    pairer: StampPairer[int, int] = StampPairer([0.0], PairRules(wait_s=100.0))
    lost = sum(pairer.add_cloud(index, index, now_s=0.0) for index in range(MAX_CLOUDS + 20))
    assert lost == 20
    for index in range(100):
        pairer.add_mask(0, index, -index - 1)
    assert pairer.clear() == MAX_CLOUDS
    assert not pairer.is_waiting
    quarter = MAX_MIB << 18
    assert [pairer.add_cloud(index, index, 0.0, quarter) for index in range(6)] == [
        0, 0, 0, 0, 1, 1
    ]  # fmt: skip
    assert pairer.add_cloud(6, 6, 0.0, 8 * quarter) == 4
    assert pairer.clear() == 1
