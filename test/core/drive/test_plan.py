# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import pytest

from hyperseg_core.drive import DriveScene
from hyperseg_core.drive.plan import DrivePose
from hyperseg_core.drive.plan import StreetPlan


def plan(pose: DrivePose, *boxes: tuple[float, float]) -> StreetPlan:
    middles = np.array(boxes, np.float64).reshape(-1, 2)
    halves = np.tile((0.9, 2.0), (len(middles), 1))
    return StreetPlan(road_m=4.0, lane_m=3.0, pose=pose, boxes=middles, half_sizes=halves)


POSE = DrivePose(x_m=1.5, z_m=10.0, yaw_rad=0.0, height_m=1.5)


def test_rays_meet_kerbs_and_things_where_they_are() -> None:
    angles = np.radians((0.0, 90.0, -90.0, -45.0, 170.0))
    empty = plan(POSE).contacts(angles, 50.0)
    np.testing.assert_allclose(empty[1:], (5.5, 2.5, 2.5 * np.sqrt(2), 5.5 / np.sin(np.pi / 18)))
    assert np.isinf(empty[0])
    ahead = plan(POSE, (1.5, 30.0)).contacts(angles, 50.0)
    assert ahead[0] == pytest.approx(18.0)
    assert np.isinf(plan(POSE, (1.5, 30.0)).contacts(angles, 15.0)[0])
    turned = dataclasses.replace(POSE, yaw_rad=np.pi / 2)  # to the right: the kerb is ahead
    assert plan(turned).contacts(np.zeros(1), 50.0)[0] == pytest.approx(2.5)


def test_clearance_is_the_room_to_what_is_nearest() -> None:
    assert plan(POSE).clearance_m(0.9, 1.0, 3.0) == pytest.approx(1.6)
    assert plan(POSE, (1.5, 14.0)).clearance_m(0.9, 1.0, 3.0) == pytest.approx(1.0)
    assert plan(POSE, (1.5, 12.5)).clearance_m(0.9, 1.0, 3.0) <= 0
    aside = dataclasses.replace(POSE, x_m=3.2)
    assert plan(aside).clearance_m(0.9, 1.0, 3.0) == pytest.approx(-0.1)


def test_frames_from_a_pose_are_the_streets() -> None:
    scene = DriveScene(4, height=120, width=160)
    own = scene.frame(3.0)
    same = scene.frame(3.0, scene.pose(3.0))
    assert np.array_equal(own.image, same.image)
    assert np.array_equal(own.depth, same.depth)
    other = scene.frame(3.0, dataclasses.replace(scene.pose(3.0), x_m=0.0, height_m=2.5))
    rows = np.arange(119, 60, -8)
    slope = (rows - other.camera_matrix[1, 2]) / other.camera_matrix[1, 1]
    is_ground = np.isin(other.labels[rows, 80], (3, 4))
    assert is_ground.sum() > 3
    np.testing.assert_allclose((other.depth[rows, 80] * slope)[is_ground], 2.5, rtol=1e-4)


def test_the_plan_lists_what_the_frame_shows() -> None:
    scene = DriveScene(3)
    found = scene.plan(5.0).contacts(np.zeros(1), 60.0)[0]
    column = scene.frame(5.0).labels[:, 320]
    depth = scene.frame(5.0).depth[:, 320]
    first = np.flatnonzero(column[::-1] != 3)[0]
    assert depth[::-1][first] == pytest.approx(found, rel=0.06)
