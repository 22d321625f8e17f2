# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from types import SimpleNamespace

import numpy as np

from hyperseg_core.drive.plan import DrivePose
from hyperseg_core.drive.plan import StreetPlan
from hyperseg_ros.demo.birds_eye import birds_eye
from hyperseg_ros.demo.birds_eye import with_inset

POSE = DrivePose(x_m=1.0, z_m=50.0, yaw_rad=0.0, height_m=1.5)
PLAN = StreetPlan(
    road_m=4.0, lane_m=3.0, pose=POSE, boxes=np.array(((-2.0, 60.0),)),
    half_sizes=np.array(((0.9, 2.0),)),
)  # fmt: skip
SCAN = SimpleNamespace(ranges=[np.nan, 6.0, np.inf], angle_min=-0.5, angle_increment=0.5)
OUTLINE = SimpleNamespace(
    polygon=SimpleNamespace(
        points=[SimpleNamespace(x=x, y=y) for x, y in ((2, -2), (2, 2), (6, 2), (6, -2))]
    )
)
GRASS, ROAD, THING = (70, 80, 70), (120, 110, 125), (170, 60, 60)


def pixel(picture: np.ndarray, ahead: float, left: float) -> tuple[int, ...]:
    scale = 220 / 18
    row, column = round((17 - ahead) * scale), round(110 - left * scale)
    return tuple(picture[row, column].tolist())


def test_road_things_and_contacts_lie_where_they_are() -> None:
    picture = birds_eye(PLAN, SCAN, OUTLINE)
    assert pixel(picture, 10.0, -2.5) == ROAD  # the right kerb is 3 m aside, the left one 5 m
    assert pixel(picture, 10.0, -3.5) == GRASS
    assert pixel(picture, 14.0, 4.5) == ROAD
    assert pixel(picture, 14.0, 5.5) == GRASS
    assert pixel(picture, 10.0, 3.0) == THING  # 3 m to the left of the vehicle, 10 m ahead
    assert pixel(picture, 6.0, 0.0) == (255, 235, 60)
    assert pixel(picture, 4.0, 1.0)[1] > pixel(picture, 10.0, 1.0)[1] + 20  # the free ground


def test_a_turned_view_turns_the_road() -> None:
    turned = dataclasses.replace(PLAN, pose=dataclasses.replace(POSE, yaw_rad=np.pi / 2))
    picture = birds_eye(turned, SCAN, OUTLINE)
    assert pixel(picture, 2.5, 6.0) == ROAD
    assert pixel(picture, 3.5, 6.0) == GRASS


def test_an_inset_needs_room() -> None:
    inset = birds_eye(PLAN, SCAN, OUTLINE)
    large, small = np.zeros((480, 640, 3), np.uint8), np.zeros((96, 128, 3), np.uint8)
    shown = with_inset(large, inset)
    np.testing.assert_array_equal(shown[4:224, 416:636], inset)
    assert not large.any()
    assert with_inset(small, inset) is small
