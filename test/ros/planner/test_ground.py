# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import cv2
import numpy as np
import pytest

from hyperseg_core import load_labels
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.planner.accuracy import LAYOUT
from hyperseg_ros.planner.accuracy import contacts
from hyperseg_ros.planner.accuracy import score
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.ground import GroundView
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import matrix_of_pose

ROAD, PAVEMENT, CAR = 3, 4, 8
STATES = state_table(load_labels('camvid'), ('drivable',))
LENS = Lens(
    height=480, width=640, matrix=np.array(((500.0, 0, 319.5), (0, 500, 199.5), (0, 0, 1))),
    model='plumb_bob', distortion=np.zeros(8), limit=np.inf,
)  # fmt: skip
POSE = (0.5, 0.0, 1.5, 0.0, 0.0, 0.0)
ANGLES = np.linspace(LAYOUT.angle_min_rad, LAYOUT.angle_max_rad, LAYOUT.num_rays)


def camera(pose: tuple[float, ...] = POSE) -> np.ndarray:
    return matrix_of_pose(pose) @ BODY_FROM_OPTICAL


def road() -> np.ndarray:
    mask = np.full((480, 640), ROAD, np.uint8)
    mask[:200] = 0
    return mask


def outline(
    corners: list[tuple[float, float, float]], pose: tuple[float, ...] = POSE
) -> np.ndarray:
    """Return the pixels of corners (x, y, z) of the base frame."""
    inside = np.linalg.inv(camera(pose)) @ np.column_stack((corners, np.ones(len(corners)))).T
    return LENS.project(inside[:3].T)[0]


def with_box(mask: np.ndarray, x: float, y: float, width: float, height: float) -> np.ndarray:
    """Paint an upright board, `width` wide and `height` tall, on the ground at (x, y)."""
    corners = [(x, y + s * width / 2, z) for s, z in ((-1, 0), (1, 0), (1, height), (-1, height))]
    cv2.fillPoly(mask, [outline(corners).round().astype(np.int32)], CAR)
    return mask


def view(mask: np.ndarray, layout: GroundLayout = LAYOUT, **options: object) -> GroundView:
    return read_ground(build_table(LENS, camera(), layout), mask, STATES, **options)


def cell(found: GroundView, x: float, y: float, layout: GroundLayout = LAYOUT) -> int:
    x_min, y_min, _, _ = layout.window_m
    col, row = int((x - x_min) / layout.resolution_m), int((y - y_min) / layout.resolution_m)
    return int(found.occupancy[row, col])


def test_a_board_is_met_where_it_stands_and_hides_what_is_behind() -> None:
    found = view(with_box(road(), 5.0, 0.0, 1.0, 1.2))
    ahead = np.abs(ANGLES) < 0.08
    expected = 5.0 / np.cos(ANGLES[ahead])
    np.testing.assert_allclose(found.ranges_m[ahead], expected, rtol=0.02)
    assert cell(found, 4.5, 0.0) == 0
    assert 100 in {cell(found, x, 0.0) for x in (4.93, 4.98, 5.03)}
    assert {cell(found, x, 0.0) for x in np.arange(5.2, 6.4, 0.1)} == {-1}
    assert cell(found, 5.5, 0.9) == 0  # beside it
    assert np.isinf(found.ranges_m[np.abs(ANGLES - 0.25) < 0.05]).all()


def test_a_camera_aside_of_the_base_smears_nothing() -> None:
    """The scan's rays start at the base, the camera's at its foot, 0.7 m to the left of it."""
    pose = (0.8, 0.7, 1.5, 0.0, 0.1, 0.05)
    corners = [(5.0, s, z) for s, z in ((-0.5, 0), (0.5, 0), (0.5, 1.2), (-0.5, 1.2))]
    mask = np.full((480, 640), ROAD, np.uint8)
    cv2.fillPoly(mask, [outline(corners, pose).round().astype(np.int32)], CAR)
    found = read_ground(build_table(LENS, camera(pose), LAYOUT), mask, STATES).ranges_m
    edge = np.arctan2(0.5, 5.0)
    on_board = np.abs(ANGLES) < edge - 0.01
    np.testing.assert_allclose(found[on_board], 5.0 / np.cos(ANGLES[on_board]), rtol=0.02)
    beside = (np.abs(ANGLES) > edge + 0.02) & (np.abs(ANGLES) < 0.4)
    assert beside.sum() > 10
    assert not np.isfinite(found[beside]).any()  # free, or hidden by the board: not a contact
    assert np.isnan(found[(ANGLES < -edge - 0.02) & (ANGLES > -0.15)]).any()
    assert np.isinf(found[(ANGLES > edge + 0.02) & (ANGLES < 0.4)]).all()


def test_rays_outside_the_picture_are_unknown_and_their_number_is_constant() -> None:
    found = view(road())
    assert found.ranges_m.shape == (120,)
    assert np.isnan(found.ranges_m[np.abs(ANGLES) > 0.7]).all()
    assert np.isinf(found.ranges_m[np.abs(ANGLES) < 0.4]).all()
    assert cell(found, -1.0, 0.0) == -1
    assert cell(found, 5.0, 4.9) == -1


def test_low_confidence_is_neither_free_nor_an_obstacle() -> None:
    confidence = np.full((480, 640), 255, np.uint8)
    confidence[:, 300:340] = 100
    mask = with_box(road(), 6.0, 1.5, 1.0, 1.5)
    found = view(mask, confidence=confidence, min_confidence=0.5)
    assert np.isnan(found.ranges_m[np.abs(ANGLES) < 0.03]).all()
    assert cell(found, 4.0, 0.0) == -1
    assert cell(found, 4.0, 0.6) == 0
    bearing = np.abs(ANGLES - np.arctan2(1.5, 6.0)).argmin()
    assert found.ranges_m[bearing] == pytest.approx(np.hypot(6.0, 1.5), rel=0.03)
    same = view(mask, confidence=confidence, min_confidence=0.1)
    np.testing.assert_array_equal(same.ranges_m, view(mask).ranges_m)


def test_contacts_behind_a_wide_gap_are_unknown_and_behind_a_narrow_one_are_told() -> None:
    mask = with_box(road(), 6.0, 0.0, 2.0, 1.5)
    ahead = np.abs(ANGLES) < 0.1
    for near, is_told in ((5.7, True), (4.0, False)):
        rows = [int(v) for _, v in outline([(near, 0, 0), (5.97, 0, 0)])]
        veiled = mask.copy()
        veiled[rows[1] : rows[0]] = 255
        found = view(veiled).ranges_m[ahead]
        assert np.isfinite(found).all() == is_told
        assert np.isnan(found).all() != is_told


def test_small_holes_are_closed_and_posts_are_not() -> None:
    mask = road()
    hole = outline([(4.0, -0.1, 0), (4.0, 0.1, 0), (4.2, 0.1, 0), (4.2, -0.1, 0)])
    cv2.fillPoly(mask, [hole.round().astype(np.int32)], PAVEMENT)
    mask = with_box(mask, 4.0, 1.0, 0.12, 1.0)  # as narrow, but it stands upright
    closed, open_ = view(mask, close_m=0.3), view(mask, close_m=0.0)
    ahead = np.abs(ANGLES).argmin()
    assert np.isinf(closed.ranges_m[ahead])
    assert open_.ranges_m[ahead] == pytest.approx(4.0, abs=0.1)
    assert cell(closed, 4.1, 0.0) == 0
    post = np.abs(ANGLES - np.arctan2(1.0, 4.0)).argmin()
    assert closed.ranges_m[post] == pytest.approx(np.hypot(4, 1), abs=0.15)


def test_drivable_ground_that_does_not_touch_the_robots_is_unknown() -> None:
    mask = road()
    strip = outline([(4.2, -9, 0), (4.2, 9, 0), (5.2, 9, 0), (5.2, -9, 0)])
    # Unknown, not occupied: contacts would hide what is behind by themselves.
    cv2.fillPoly(mask, [strip.clip(-2000, 2000).round().astype(np.int32)], 255)
    found = view(mask)
    assert cell(found, 3.8, 0.0) == 0
    assert cell(found, 5.8, 0.0) == -1
    assert 100 not in found.occupancy


def test_cells_finer_than_a_pixel_are_unknown() -> None:
    # A pixel covers z^2 / (f h) along the ray: 5 cm at 6.1 m from this camera.
    found = view(road())
    assert cell(found, 0.5 + 5.9, 0.0) == 0
    assert cell(found, 0.5 + 6.4, 0.0) == -1
    layout = dataclasses.replace(LAYOUT, max_pixel_cells=2.0)
    assert cell(view(road(), layout), 0.5 + 6.4, 0.0, layout) == 0


def test_the_outline_holds_the_free_ground_and_not_the_board() -> None:
    found = view(with_box(road(), 5.0, 0.0, 1.0, 1.2))
    polygon = found.free_space_m[:, None]
    inside = [(4.0, 0.0), (8.0, 2.0), (12.0, -3.0), (3.5, 0.5)]
    outside = [(5.6, 0.0), (9.0, 0.0), (1.0, 0.0), (3.0, 4.0), (-1.0, 0.0)]
    assert all(cv2.pointPolygonTest(polygon, point, False) > 0 for point in inside)
    assert all(cv2.pointPolygonTest(polygon, point, False) < 0 for point in outside)
    assert len(polygon) < 40


@pytest.mark.parametrize(
    'pose',
    [(0.5, 0.3, 1.5, 0.0, 0.15, 0.3), (-0.4, 0.0, 0.9, 0.1, 0.3, -2.9), (0, 0, 2.0, 0, 1.57, 0)],
)
def test_pitch_roll_and_yaw_are_honoured(pose: tuple[float, ...]) -> None:
    """A square on the ground, seen by a camera that is anyhow mounted, is found where it lies."""
    eye = camera(pose)
    middle = np.linalg.inv(LENS.matrix) @ (319.5, 330.0, 1.0)
    direction = eye[:3, :3] @ middle
    spot = eye[:3, 3] - direction * eye[2, 3] / direction[2]
    mask = np.full((480, 640), ROAD, np.uint8)
    square = [(spot[0] + a, spot[1] + b, 0.0) for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))]
    corners = outline(
        [(*(0.25 * (np.array(c[:2]) - spot[:2]) + spot[:2]), 0.0) for c in square], pose
    )
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], CAR)
    layout = dataclasses.replace(
        LAYOUT, window_m=(-8.0, -8.0, 8.0, 8.0), max_pixel_cells=10.0, robot_radius_m=3.0
    )
    table = build_table(LENS, eye, layout)
    found = read_ground(table, mask, STATES, close_m=0.0)
    rows, cols = np.nonzero(found.occupancy == 100)
    x, y = -8 + 0.05 * (cols + 0.5), -8 + 0.05 * (rows + 0.5)
    assert len(x) > 3
    assert np.abs(x - spot[0]).max() < 0.4
    assert np.abs(y - spot[1]).max() < 0.4


@pytest.mark.parametrize(
    ('model', 'distortion'),
    [
        ('plumb_bob', (-0.25, 0.06, 0.001, -0.001, 0, 0, 0, 0)),
        ('rational_polynomial', (0.8, 0.15, 0, 0, 0.01, 1.1, 0.35, 0.03)),
        ('equidistant', (-0.02, 0.004, -0.002, 0.0004)),
    ],
)
def test_a_bent_lens_shows_contacts_where_they_are(
    model: str, distortion: tuple[float, ...]
) -> None:
    lens = dataclasses.replace(LENS, model=model, distortion=np.array(distortion), limit=1.3)
    mask = np.full((480, 640), ROAD, np.uint8)
    board = [
        (6.0, y, z) for z in (0.0, 1.0) for y in np.linspace(1.0, 2.5, 20)[:: 1 if z == 0 else -1]
    ]
    inside = np.linalg.inv(camera()) @ np.column_stack((board, np.ones(len(board)))).T
    corners, is_seen = lens.project(inside[:3].T)
    assert is_seen.all()
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], CAR)
    found = read_ground(build_table(lens, camera(), LAYOUT), mask, STATES).ranges_m
    aside = (ANGLES > np.arctan2(1.1, 6)) & (ANGLES < np.arctan2(2.4, 6))
    assert aside.sum() > 8
    np.testing.assert_allclose(found[aside], 6.0 / np.cos(ANGLES[aside]), rtol=0.03)
    straight = read_ground(build_table(LENS, camera(), LAYOUT), mask, STATES).ranges_m
    assert np.nanmax(np.abs(straight[aside] * np.cos(ANGLES[aside]) - 6.0)) > 0.2


def test_a_low_camera_does_not_see_as_far_as_range_max() -> None:
    assert build_table(LENS, camera(), LAYOUT).sight_m == pytest.approx(15.5, abs=1.0)
    low = build_table(LENS, camera((0, 0, 0.25, 0, 0, 0)), LAYOUT)
    # A pixel covers z / (f h) of its distance: 5 % at 6.25 m.
    assert low.sight_m == pytest.approx(6.25, abs=0.2)


def test_another_plane_is_another_ground() -> None:
    # Ground half a metre lower: as if the camera stood that much higher.
    layout = dataclasses.replace(LAYOUT, plane=(0.0, 0.0, 2.0, -1.0))
    board = with_box(road(), 5.0, 0.0, 1.0, 1.2)
    ahead = np.abs(ANGLES).argmin()
    found = view(board, layout).ranges_m[ahead]
    assert found == pytest.approx(0.5 + (5.0 - 0.5) * 2.0 / 1.5, rel=0.02)


def test_ids_without_a_class_and_other_sizes_are_refused() -> None:
    table = build_table(LENS, camera(), LAYOUT)
    mask = road()
    mask[5, 7] = 11
    with pytest.raises(InputError, match='holds the id 11, which its label set has not'):
        read_ground(table, mask, STATES)
    with pytest.raises(InputError, match='confidence is of'):
        read_ground(
            table, road(), STATES, confidence=np.zeros((2, 2), np.uint8), min_confidence=0.5
        )


def test_cameras_that_see_no_ground_and_layouts_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match='sees no ground within'):
        build_table(LENS, camera((0, 0, 1.5, 0, -1.0, 0)), LAYOUT)
    for change, told in (
        ({'plane': (0, 0, 0, 1)}, 'upright'), ({'angle_max_rad': -2.0}, 'no fan'),
        ({'range_max_m': 0.05}, 'not below'), ({'window_m': (1, -1, 2, 1)}, 'around the robot'),
        ({'resolution_m': 0.0005}, 'too large'), ({'num_rays': 10**6}, 'too many'),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=told):
            dataclasses.replace(LAYOUT, **change).check()
    with pytest.raises(ConfigError, match='larger max_pixel_share than 1e-05'):
        build_table(LENS, camera(), dataclasses.replace(LAYOUT, max_pixel_share=1e-5))
    layout = dataclasses.replace(LAYOUT, range_max_m=500.0, resolution_m=0.01)
    with pytest.raises(ConfigError, match='larger resolution'):
        build_table(LENS, camera(), layout)


def test_contacts_on_rendered_streets_are_where_the_street_has_them() -> None:
    views = [street_view(seed, 2.0 + seed) for seed in range(30)]
    found = score(contacts(item, item.frame.labels) for item in views)
    print(found)
    assert found.num_rays > 1500
    assert found.median_error <= 0.03
    assert found.false_share <= 0.01
    assert found.late_share <= 0.12  # under cars, between their wheels, the road is seen
    # A test that can fail: the same with another camera height.
    lower = dataclasses.replace(views[0].lens, matrix=views[0].lens.matrix + np.diag((60, 60, 0)))
    wrong = score(
        contacts(dataclasses.replace(item, lens=lower), item.frame.labels) for item in views[:5]
    )
    assert wrong.median_error > 0.03


@pytest.mark.parametrize('plane', [(0.0, 0.0, 1.0, 0.0), (0.0, 0.0, -2.0, 0.0)])
def test_a_camera_below_the_plane_is_refused(plane: tuple[float, float, float, float]) -> None:
    layout = GroundLayout(plane=plane)
    assert build_table(LENS, camera(), layout).is_seen.any()
    below = matrix_of_pose((0.5, 0.0, -1.5, 0.0, -0.3, 0.0)) @ BODY_FROM_OPTICAL
    with pytest.raises(
        ConfigError, match=r'is 1\.50 m below the plane: look at z .* ground_plane'
    ):
        build_table(LENS, below, layout)
