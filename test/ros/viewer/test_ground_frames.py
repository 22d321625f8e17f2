# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

from hyperseg_core.errors import InputError
from hyperseg_core.labels import load_labels
from hyperseg_ros.planner.accuracy import LAYOUT
from hyperseg_ros.planner.accuracy import street_info
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.viewer.frames import Moment
from hyperseg_ros.viewer.ground_frames import MAX_CELLS
from hyperseg_ros.viewer.ground_frames import MAX_POINTS
from hyperseg_ros.viewer.ground_frames import GroundMoment
from hyperseg_ros.viewer.ground_frames import encode_ground
from hyperseg_ros.viewer.ground_frames import grid_cells
from hyperseg_ros.viewer.ground_frames import in_picture
from hyperseg_ros.viewer.ground_frames import outline_points
from hyperseg_ros.viewer.ground_frames import scan_points
from hyperseg_ros.viewer.ground_sight import Sight
from hyperseg_ros.viewer.protocol import unpack_frame

HEADER = SimpleNamespace(frame_id='base_footprint')


def scan(ranges: Any, **changes: Any) -> Any:
    fields = {
        'angle_min': -1.0, 'angle_increment': 0.5, 'range_min': 0.1, 'range_max': 15.0,
    } | changes  # fmt: skip
    return SimpleNamespace(header=HEADER, ranges=ranges, **fields)


def grid(
    cells: Any, *, resolution: float = 0.5, x: float = -2.0, yaw: float = 0.0, **size: int
) -> Any:
    cells = np.array(cells, np.int8)
    origin = SimpleNamespace(
        position=SimpleNamespace(x=x, y=-3.0),
        orientation=SimpleNamespace(x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2)),
    )
    height, width = cells.shape
    shape = {'height': height, 'width': width} | size
    info = SimpleNamespace(resolution=resolution, origin=origin, **shape)
    return SimpleNamespace(header=HEADER, info=info, data=cells.reshape(-1))


def polygon(points: Any) -> Any:
    corners = [SimpleNamespace(x=x, y=y, z=z) for x, y, z in points]
    return SimpleNamespace(header=HEADER, polygon=SimpleNamespace(points=corners))


def encoded(**layers: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    moment = Moment('/ground', (5, 6), {name: lambda m=m: m for name, m in layers.items()})

    def nowhere(stamp: Any, base_frame: str) -> Any:
        msg = f'no TF to {base_frame}'
        raise InputError(msg)

    return unpack_frame(encode_ground(GroundMoment(moment, nowhere), 7))


def test_scan_becomes_the_points_that_it_hit() -> None:
    points = scan_points(scan([1.0, math.nan, 2.0, math.inf, 0.05]))
    np.testing.assert_allclose(
        points, [[math.cos(-1), math.sin(-1)], [2.0, 0.0]], atol=1e-6
    )  # fmt: skip
    assert scan_points(scan([])).shape == (0, 2)
    assert scan_points(scan([1e30, -1.0], range_max=math.inf)).shape == (0, 2)


def test_long_scan_is_thinned_to_its_nearest() -> None:
    ranges = np.full(7000, 5.0)
    ranges[3001] = 1.0
    points = scan_points(scan(ranges, angle_increment=2e-4))
    assert len(points) == MAX_POINTS
    assert np.hypot(*points.T).min() == pytest.approx(1.0)


def test_grid_keeps_its_values_and_its_place() -> None:
    cells, place = grid_cells(grid([[0, -1, 100], [50, 0, 0]], yaw=0.3))
    np.testing.assert_array_equal(cells, [[0, 255, 100], [50, 0, 0]])
    assert place['resolution'] == 0.5
    assert place['origin'] == pytest.approx([-2.0, -3.0, 0.3])


def test_large_grid_is_sent_in_blocks_as_bad_as_their_worst_cell() -> None:
    cells = np.zeros((900, 801), np.int8)
    cells[0, 0] = 100
    cells[0:3, 3:6] = -1
    cells[1, 4] = 20
    cells[3, 0] = -1
    found, place = grid_cells(grid(cells))
    assert found.shape == (300, 267)
    assert max(found.shape) <= MAX_CELLS
    assert place['resolution'] == 1.5
    assert found[:2, :3].tolist() == [[100, 20, 0], [255, 0, 0]]
    assert (found != 0).sum() == 3


@pytest.mark.parametrize(
    ('message', 'told'),
    [
        (grid(np.zeros((0, 3))), 'has 0 values'),
        (grid([[0, 0]], height=2), '2 x 2 cells has 2 values'),
        (grid([[0, 0]], height=2**32 - 1, width=2**32 - 1), 'has 2 values'),
        (grid([[0, 0]], resolution=0.0), 'cells of 0.0 m'),
        (grid([[0, 0]], resolution=math.nan), 'cells of nan m'),
        (grid([[0, 0]], x=math.inf), 'origin'),
        (grid([[0, 0]], yaw=math.nan), 'origin'),
    ],
)
def test_grid_that_cannot_be_is_refused(message: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        grid_cells(message)


def test_outline_is_bounded_and_finite() -> None:
    points = [(float(index), 0.0, 0.0) for index in range(5000)]
    assert len(outline_points(polygon(points))) == MAX_POINTS
    strange = polygon([(math.nan, 0, 0), (1e30, 0, 0), (1, 2, 0)])
    assert outline_points(strange).tolist() == [[1, 2, 0]]
    assert outline_points(polygon([])).shape == (0, 3)


def test_message_has_all_that_the_page_draws() -> None:
    corners = polygon([(0, 0, 0), (1, 0, 0), (1, 1, 0)])
    header, parts = encoded(scan=scan([1.0] * 5), grid=grid([[0, -1]]), free_space=corners)
    assert (header['type'], header['number'], header['ground']) == ('ground', 7, '/ground')
    assert header['stamp'] == [5, 6]
    assert len(header['scan']) == 5
    assert header['outline'] == [[0, 0], [1, 0], [1, 1]]
    read = cv2.imdecode(np.frombuffer(parts['grid'], np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.tolist() == [[0, 255]]
    assert header['problems'] == {
        'picture': 'Not drawn into the picture: no TF to base_footprint'
    }  # fmt: skip


def test_what_cannot_be_read_is_told_and_the_rest_is_there() -> None:
    header, parts = encoded(
        scan=scan([1.0], angle_min=math.nan), grid=grid([[0, 0]], resolution=-1.0),
        free_space=polygon([(1, 1, 0)]),
    )  # fmt: skip
    assert header['outline'] == [[1, 1]]
    assert parts['grid'] == b''
    assert set(header['problems']) == {'scan', 'grid', 'picture'}
    assert 'grid' not in header


def test_ground_is_drawn_where_the_mask_has_it() -> None:
    view = street_view(3, 5.0)
    mask = view.frame.labels
    lens = lens_of(street_info(view.frame), *mask.shape)
    pose = view.base_from_camera()
    labels = load_labels('camvid')
    states = state_table(labels, ('drivable',))
    found = read_ground(build_table(lens, pose, LAYOUT), mask, states)
    heights = LAYOUT.heights(found.free_space_m[:, 0], found.free_space_m[:, 1])
    outline = np.column_stack((found.free_space_m, heights)).astype(np.float64)
    sight = Sight('/mask', lens, np.linalg.inv(pose), LAYOUT.plane)
    message = scan(
        found.ranges_m, angle_min=LAYOUT.angle_min_rad,
        angle_increment=LAYOUT.angle_increment_rad,
    )  # fmt: skip
    places = in_picture(sight, scan_points(message), outline)
    size = np.array(mask.shape[::-1])
    line = np.concatenate([np.array(item) for item in places['outline']])
    assert line.min() >= 0
    assert line.max() <= 1
    # The lower corners of the picture are not in the outline: it is closed along the border.
    inside = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [(line * size).astype(int)], 1)
    is_drivable = np.isin(mask, np.flatnonzero(states == states[labels.names.index('road')]))
    assert inside.sum() > 0.02 * mask.size
    assert is_drivable[inside == 1].mean() > 0.97
    # Contacts are where the drivable ground ends: both are within some pixels.
    hits = (np.array(places['scan']) * size).astype(int)
    assert len(hits) > 10
    near = [is_drivable[max(y - 6, 0) : y + 7, max(x - 6, 0) : x + 7] for x, y in hits]
    assert np.mean([0 < patch.mean() < 1 for patch in near]) > 0.9


def test_outline_behind_the_camera_is_left_out() -> None:
    view = street_view(3, 5.0)
    lens = lens_of(street_info(view.frame), *view.frame.labels.shape)
    sight = Sight('/mask', lens, np.linalg.inv(view.base_from_camera()), (0.0, 0.0, 1.0, 0.0))
    behind = np.array([[-5.0, -1.0, 0.0], [-5.0, 1.0, 0.0], [-9.0, 0.0, 0.0]])
    assert sight.lines(behind) == []
    assert sight.lines(np.empty((0, 3))) == []
    far = np.array([[-1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [1e4, 1e4, 0.0]])
    assert sum(map(len, sight.lines(far))) < 3000
