# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from hyperseg_core.errors import InputError
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import has_moved
from hyperseg_ros.planner.pose import matrix_of_pose
from hyperseg_ros.planner.pose import matrix_of_transform

K = np.array(((500.0, 0, 319.5), (0, 480.0, 239.5), (0, 0, 1)))
PLUMB_BOB = (-0.28, 0.07, 0.001, -0.0005, 0.01)
RATIONAL = (0.9, 0.2, 0.0003, -0.0002, 0.01, 1.25, 0.4, 0.04)
EQUIDISTANT = (-0.02, 0.004, -0.002, 0.0004)


def info(model: str = 'plumb_bob', d: Any = (), **changes: Any) -> Any:
    region = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)
    fields: dict[str, Any] = {
        'height': 480, 'width': 640, 'distortion_model': model, 'd': d, 'k': K.ravel(),
        'p': np.hstack((K, np.zeros((3, 1)))).ravel(), 'roi': region, 'binning_x': 0,
        'binning_y': 0,
    }  # fmt: skip
    return SimpleNamespace(**(fields | changes))


def points() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack((rng.uniform(-3, 3, (500, 2)), rng.uniform(4, 20, 500)))


@pytest.mark.parametrize(
    ('model', 'd'), [('plumb_bob', PLUMB_BOB), ('rational_polynomial', RATIONAL)]
)
def test_browns_model_is_opencvs(model: str, d: tuple[float, ...]) -> None:
    pixels, is_seen = lens_of(info(model, d), 480, 640).project(points())
    expected, _ = cv2.projectPoints(points(), np.zeros(3), np.zeros(3), K, np.array(d))
    inside = ((expected[:, 0] > -0.5) & (expected[:, 0] < (639.5, 479.5))).all(1)
    assert inside.mean() > 0.5
    assert np.array_equal(is_seen, inside)
    np.testing.assert_allclose(pixels[is_seen], expected[:, 0][is_seen], atol=1e-6)


def test_equidistant_is_opencvs_fisheye() -> None:
    pixels, is_seen = lens_of(info('equidistant', EQUIDISTANT), 480, 640).project(points())
    expected, _ = cv2.fisheye.projectPoints(
        points()[:, None], np.zeros(3), np.zeros(3), K, np.array(EQUIDISTANT)
    )
    np.testing.assert_allclose(pixels[is_seen], expected[:, 0][is_seen], atol=1e-6)
    assert is_seen.mean() > 0.9


def test_points_behind_the_lens_are_not_seen_although_they_project_into_the_picture() -> None:
    behind = np.array(((0.1, 0.1, -5.0), (0.0, 0.0, -1.0), (0.0, 0.0, 0.0)))
    for model, d in (('plumb_bob', PLUMB_BOB), ('equidistant', EQUIDISTANT), ('plumb_bob', ())):
        assert not lens_of(info(model, d), 480, 640).project(behind)[1].any()
    mirrored = K @ behind[0]
    assert 0 < mirrored[0] / mirrored[2] < 640


def test_a_polynomial_that_turns_back_shows_nothing_twice() -> None:
    # Far outside the picture, this model's radius falls again, and would meet pixels.
    aside = np.array(((3.2, 0.0, 1.0), (0.3, 0.0, 1.0)))
    bent, _ = cv2.projectPoints(aside, np.zeros(3), np.zeros(3), K, np.array((-0.1, 0, 0, 0, 0)))
    assert 0 < bent[0, 0, 0] < 640
    _, is_seen = lens_of(info('plumb_bob', (-0.1, 0, 0, 0, 0)), 480, 640).project(aside)
    assert is_seen.tolist() == [False, True]


def test_a_fisheye_sees_more_than_a_right_angle() -> None:
    wide = np.array((150.0, 0, 319.5, 0, 150.0, 239.5, 0, 0, 1))
    lens = lens_of(info('equidistant', np.zeros(4), k=wide), 480, 640)
    pixels, is_seen = lens.project(np.array(((1.0, 0.0, -0.2),)))
    assert is_seen.all()
    assert pixels[0, 0] == pytest.approx(319.5 + 150 * (np.pi / 2 + np.arctan(0.2)))


def test_a_resized_masks_pixels_keep_their_corners() -> None:
    full, half = lens_of(info(), 480, 640), lens_of(info(), 240, 320)
    pixels, small = full.project(points())[0], half.project(points())[0]
    np.testing.assert_allclose((pixels + 0.5) / 2 - 0.5, small)


def test_not_finite_points_are_not_seen() -> None:
    bad = np.array(((np.nan, 0, 1), (0, 0, np.nan), (np.inf, 0, 1), (0, 0, np.inf)))
    for model, d in (('plumb_bob', PLUMB_BOB), ('equidistant', EQUIDISTANT)):
        assert not lens_of(info(model, d), 480, 640).project(bad)[1].any()


def test_rectified_images_take_p_and_no_distortion() -> None:
    p = np.hstack((2 * K, np.zeros((3, 1)))).ravel()
    lens = lens_of(info('plumb_bob', PLUMB_BOB, p=p), 480, 640, is_rectified=True)
    assert lens.matrix[0, 0] == 1000
    assert not lens.distortion.any()


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'k': np.zeros(9)}, 'focal lengths 0 and 0 px in K: an uncalibrated camera'),
        ({'k': np.full(9, np.nan)}, 'focal lengths nan'),
        ({'height': 0, 'width': 0}, 'a camera without a size'),
        ({'height': 400}, '400 x 640 px, the image of 480 x 640 px, another shape'),
        ({'distortion_model': 'magic', 'd': (0.1,)}, "'magic' is not known; known: plumb_bob"),
        ({'d': (np.nan, 0, 0, 0, 0)}, 'at most eight finite'),
        ({'d': np.full(14, 0.1)}, 'at most eight finite'),
    ],
)
def test_calibrations_that_mean_nothing_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told.replace('(', r'\(')):
        lens_of(info(**changes), 480, 640)


def test_poses_are_reps() -> None:
    # The nose goes down with a positive pitch, to the left with a positive yaw (REP 103).
    ahead = matrix_of_pose((1, 2, 3, 0, 0.1, 0.2)) @ BODY_FROM_OPTICAL @ np.array((0, 0, 1, 1))
    expected = (1 + np.cos(0.2) * np.cos(0.1), 2 + np.sin(0.2) * np.cos(0.1), 3 - np.sin(0.1))
    np.testing.assert_allclose(ahead[:3], expected)
    half = 0.35
    transform = SimpleNamespace(
        translation=SimpleNamespace(x=1.0, y=2.0, z=3.0),
        rotation=SimpleNamespace(x=0.0, y=0.0, z=2 * np.sin(half), w=2 * np.cos(half)),
    )
    with pytest.raises(InputError, match='no rotation'):
        matrix_of_transform(transform)
    transform.rotation.z, transform.rotation.w = np.sin(half), np.cos(half)
    np.testing.assert_allclose(
        matrix_of_transform(transform), matrix_of_pose((1, 2, 3, 0, 0, 0.7)), atol=1e-12
    )


def test_small_moves_are_told_from_none() -> None:
    before = matrix_of_pose((0, 0, 1, 0, 0, 0))
    for pose, moved in (((0, 0, 1, 0, 0.001, 0), False), ((0, 0, 1, 0, 0.003, 0), True),
                        ((0.02, 0, 1, 0, 0, 0), True), ((0, 0, 1, 3.1, 0, 0), True)):  # fmt: skip
        assert has_moved(before, matrix_of_pose(pose), 0.01, 0.002) is moved
