# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from hyperseg_core.errors import InputError
from hyperseg_ros.planner.accuracy import lidar_view
from hyperseg_ros.planner.accuracy import score_points
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.painting import Paint
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.painting import check_ids
from hyperseg_ros.planner.painting import paint
from hyperseg_ros.planner.painting import rasterised
from hyperseg_ros.planner.painting import surest
from hyperseg_ros.planner.painting import without_edges

LENS = Lens(
    height=60, width=80, matrix=np.array(((50.0, 0, 39.5), (0, 50, 29.5), (0, 0, 1))),
    model='plumb_bob', distortion=np.zeros(8), limit=np.inf,
)  # fmt: skip
SAME = np.eye(4)
MASK = np.full((60, 80), 3, np.uint8)
MASK[:, 40:] = 8


def at(column: float, row: float, depth: float) -> tuple[float, float, float]:
    return ((column - 39.5) / 50 * depth, (row - 29.5) / 50 * depth, depth)


def classes(points: list[tuple[float, float, float]], **rules: object) -> list[int]:
    found = paint(np.array(points, np.float32), SAME, LENS, MASK, None, PaintRules(**rules))
    return found.class_ids.tolist()


def test_points_get_the_class_of_their_pixel() -> None:
    assert classes([at(10, 10, 5), at(65, 50, 9), at(79.4, 59.4, 5)]) == [3, 8, 8]


def test_points_outside_behind_or_not_finite_are_255() -> None:
    behind = tuple(-value for value in at(10, 10, 5))
    outside = [at(-1, 10, 5), at(80, 10, 5), at(10, -1, 5), at(10, 60, 5), behind]
    strange = [(np.nan, 0, 5), (0, 0, np.inf), (np.inf, np.inf, np.inf), (0.0, 0.0, 0.0)]
    assert set(classes([*outside, *strange])) == {255}
    assert LENS.matrix[0, 0] * behind[0] / behind[2] + 39.5 == pytest.approx(10)


def test_only_the_nearest_of_a_cell_and_what_is_close_to_it_are_painted() -> None:
    points = [at(10, 10, 5), at(11, 10, 5.3), at(10, 11, 8), at(30, 10, 8)]
    assert classes(points) == [3, 3, 255, 3]
    assert classes(points, cell_px=0) == [3, 3, 3, 3]
    assert classes(points, tolerance_m=4.0) == [3, 3, 3, 3]
    assert classes(points, tolerance_m=0.1, tolerance_share=0.0) == [3, 255, 255, 3]


def test_pixels_at_an_edge_are_255() -> None:
    columns = [36, 37, 38, 39, 40, 41, 42, 43]
    points = [at(column, 10, 5) for column in columns]
    assert classes(points, cell_px=0) == [3, 3, 255, 255, 255, 255, 8, 8]
    assert classes(points, cell_px=0, edge_px=0) == [3, 3, 3, 3, 8, 8, 8, 8]
    edges = without_edges(MASK, 2)
    assert np.flatnonzero(edges[0] == 255).tolist() == [38, 39, 40, 41]


def test_confidence_is_that_of_the_pixel_and_none_where_nothing_is_known() -> None:
    sure = np.full((60, 80), 77, np.uint8)
    points = np.array([at(10, 10, 5), at(39, 10, 5), at(-5, 10, 5)], np.float32)
    found = paint(points, SAME, LENS, MASK, sure, PaintRules())
    assert found.confidence.tolist() == [77, 0, 0]
    with pytest.raises(InputError, match='confidence is of'):
        paint(points, SAME, LENS, MASK, sure[:9], PaintRules())


def test_of_two_cameras_the_surer_one_wins() -> None:
    left = Paint(
        class_ids=np.array((3, 255, 8), np.uint8), confidence=np.array((9, 0, 5), np.uint8)
    )
    right = Paint(
        class_ids=np.array((4, 2, 1), np.uint8), confidence=np.array((8, 1, 5), np.uint8)
    )
    both = surest([left, right])
    assert both.class_ids.tolist() == [3, 2, 8]
    assert both.confidence.tolist() == [9, 1, 5]


def test_points_are_moved_into_the_cameras_frame() -> None:
    turned = np.array(((0, -1, 0, 0), (0, 0, -1, 0.5), (1, 0, 0, -0.3), (0, 0, 0, 1.0)))
    ahead, left_up = (10.0, 0.0, 0.5), (10.0, 2.0, 2.0)
    found = paint(np.array((ahead, left_up), np.float32), turned, LENS, MASK, None, PaintRules())
    assert found.class_ids.tolist() == [255, 3]  # straight ahead is the edge


def test_a_picture_of_points_has_the_nearest_in_each_pixel() -> None:
    points = np.array([at(10, 10, 9), at(10, 10, 5), at(10.2, 10, 7), at(0, 59, 3)], np.float32)
    picture = rasterised(points, SAME, LENS).reshape(60, 80, 3)
    np.testing.assert_allclose(picture[10, 10], at(10, 10, 5), rtol=1e-6)
    np.testing.assert_allclose(picture[59, 0], at(0, 59, 3), rtol=1e-6)
    assert np.isfinite(picture).all(-1).sum() == 2


def test_ids_without_a_class_are_refused() -> None:
    check_ids(np.array(((0, 10, 255),), np.uint8), 11)
    with pytest.raises(InputError, match='the id 11'):
        check_ids(np.array(((0, 11, 255),), np.uint8), 11)


@pytest.mark.parametrize(
    ('motion', 'least_right'),
    [({}, 0.99), ({'offset_s': 0.05, 'speed_mps': 10.0}, 0.98)],
    ids=['standing', 'at 10 m/s with 50 ms between'],
)
def test_a_lidar_in_rendered_streets_is_painted_right(
    motion: dict[str, float], least_right: float
) -> None:
    cv2.setNumThreads(1)
    views = [lidar_view(seed, 2.0 + seed, **motion) for seed in range(6)]
    found = score_points(views, PaintRules())
    careless = score_points(views, PaintRules(edge_px=0, cell_px=0))
    print(motion, found, careless)
    assert found.num_labelled > 50_000
    assert found.labelled_share > 0.7
    assert found.right_share >= least_right
    assert found.occluded_wrong_share <= 0.01
    assert careless.occluded_wrong_share > 0.2
    if motion:
        # Without the motion between both times, the same points are painted worse.
        still = [
            type(view)(frame=view.frame, lens=view.lens, sweep=view.sweep,
                       camera_from_lidar=lidar_view(seed, 2.0 + seed).camera_from_lidar)
            for seed, view in zip(range(2), views, strict=False)
        ]  # fmt: skip
        assert (
            score_points(still, PaintRules()).right_share
            < score_points(views[:2], PaintRules()).right_share
        )
