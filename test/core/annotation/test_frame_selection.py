# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from hyperseg_core import load_checkpoint
from hyperseg_core.annotation.frame_health import picture_digest
from hyperseg_core.annotation.frame_health import picture_fault
from hyperseg_core.annotation.selection import class_doubts
from hyperseg_core.annotation.selection import class_weights
from hyperseg_core.annotation.selection import select_frames
from hyperseg_core.drive import DriveScene

SECOND = 10**9


def test_doubts_are_summed_by_predicted_class() -> None:
    ids = np.array([[0, 0, 2], [2, 255, 2]], np.uint8)
    confidence = np.array([[255, 0, 51], [255, 0, 255]], np.uint8)
    counts, doubts = class_doubts(ids, confidence, 3)
    assert counts.tolist() == [2, 0, 3]
    assert doubts.tolist() == pytest.approx([1.0, 0.0, 0.8])


def test_rare_classes_weigh_more() -> None:
    weights = class_weights(np.array([[9000, 1000, 0]]))
    assert weights[0] < weights[1] < weights[2] < 101


def _choose(
    doubts: list[list[float]], features: list[list[float]], stamps: list[int], count: int,
    gap: int = 2, streams: list[str] | None = None,
) -> list[int]:  # fmt: skip
    counts = np.array([[900, 100]] * len(doubts))
    chosen = select_frames(
        counts, np.array(doubts), np.array(features), streams or ['a'] * len(doubts),
        [stamp * SECOND for stamp in stamps], count, gap_ns=gap * SECOND,
    )  # fmt: skip
    return [item.index for item in chosen]


def test_doubt_of_a_rare_class_counts_more_than_of_a_common_one() -> None:
    doubts, features = [[60.0, 0.0], [0.0, 40.0]], [[1.0, 0.0], [0.0, 1.0]]
    assert _choose(doubts, features, [0, 10], 1) == [1]


def test_frames_like_those_taken_come_after_others() -> None:
    doubts = [[0.0, 50.0], [0.0, 49.0], [0.0, 20.0]]
    features = [[1.0, 0.0], [1.0, 0.01], [0.0, 1.0]]
    assert _choose(doubts, features, [0, 10, 20], 3) == [0, 2, 1]


def test_frames_of_a_stream_are_the_gap_apart() -> None:
    rng = np.random.default_rng(0)
    doubts, features = rng.random((40, 2)).tolist(), rng.random((40, 4)).tolist()
    chosen = _choose(doubts, features, list(range(40)), 40, gap=3)
    stamps = np.sort(chosen)
    assert (np.diff(stamps) >= 3).all()
    assert len(chosen) >= 40 / 6


def test_other_cameras_are_other_streams() -> None:
    chosen = _choose([[1.0, 1.0]] * 2, [[1.0, 0.0], [0.0, 1.0]], [5, 5], 2, streams=['a', 'b'])
    assert sorted(chosen) == [0, 1]


def test_frames_that_are_sure_of_everything_are_still_told_apart() -> None:
    assert len(_choose([[0.0, 0.0]] * 3, [[1.0], [2.0], [3.0]], [0, 10, 20], 3)) == 3


def test_nothing_to_choose_from_gives_nothing() -> None:
    empty = np.zeros((0, 2))
    assert select_frames(empty.astype(int), empty, empty, [], [], 3, gap_ns=1) == []


def _street() -> np.ndarray:
    return DriveScene(7).frame(2.0).image


def test_a_street_in_daylight_is_healthy() -> None:
    assert picture_fault(_street()) == ''


@pytest.mark.parametrize(
    ('spoil', 'fault'),
    [
        (lambda image: image // 12, 'too dark'),
        (lambda image: np.minimum(image.astype(int) * 3 + 90, 255).astype('u1'), 'over-exposed'),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 12), 'blurred'),
    ],
)
def test_spoilt_pictures_are_named(spoil: object, fault: str) -> None:
    assert picture_fault(spoil(_street())) == fault


def test_only_the_same_pixels_have_the_same_digest() -> None:
    image = _street()
    assert picture_digest(image) == picture_digest(image.copy())
    changed = image.copy()
    changed[0, 0, 0] ^= 1
    assert picture_digest(image) != picture_digest(changed)
    assert picture_digest(image) != picture_digest(image.reshape(640, 480, 3))


def test_pooled_features_are_those_of_the_network() -> None:
    torch = pytest.importorskip('torch')
    from hyperseg_core.inference.features import FeatureExtractor
    from hyperseg_core.model.pixels import normalise

    checkpoint = load_checkpoint('fast')
    height, width = checkpoint.config.size
    frame = DriveScene(3, height=height, width=width).frame(1.0).image
    found = FeatureExtractor(checkpoint)(frame)
    pixels = torch.from_numpy(frame).permute(2, 0, 1)[None]
    with torch.inference_mode():
        images = normalise(pixels, checkpoint.config)
        features = checkpoint.model.eval().backbone(images)[-1].mean((2, 3))[0].numpy()
    assert found.shape == features.shape
    np.testing.assert_allclose(found, features, atol=1e-3)
