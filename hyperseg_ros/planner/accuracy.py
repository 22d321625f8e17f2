# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How right contacts and painted points are on rendered streets, whose geometry is known."""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive import DriveFrame
from hyperseg_core.drive import DriveScene
from hyperseg_core.drive.lidar import LidarSweep
from hyperseg_core.drive.lidar import sweep
from hyperseg_core.drive.plan import DrivePose
from hyperseg_core.drive.plan import StreetPlan
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import load_labels
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.painting import paint
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import Matrix
from hyperseg_ros.planner.pose import matrix_of_pose

LAYOUT = GroundLayout()
_ANGLES_RAD = np.linspace(LAYOUT.angle_min_rad, LAYOUT.angle_max_rad, LAYOUT.num_rays)
_MARGIN_SHARE, _MARGIN_M = 0.1, 0.3
"""How much nearer than the truth a contact must be to count as false, or farther as late."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactScores:
    """Contacts against the truth, over all rays that say something."""

    num_rays: int
    median_error: float
    """As a share of the distance, of rays that meet something both in truth and in the scan."""
    false_share: float
    """Rays whose contact is nearer than the truth by more than the margin."""
    late_share: float
    """Rays whose contact is farther than the truth by more than the margin, or missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreetView:
    """A frame of a rendered street, and what there is to know about it."""

    frame: DriveFrame
    plan: StreetPlan
    lens: Lens

    def base_from_camera(self, pitch_error_rad: float = 0.0) -> Matrix:
        """Return the camera's pose above its foot, with a wrong pitch (nose down) if asked."""
        pose = (0.0, 0.0, float(self.plan.pose.height_m), 0.0, pitch_error_rad, 0.0)
        return matrix_of_pose(pose) @ BODY_FROM_OPTICAL


def street_info(frame: DriveFrame) -> Any:
    """Return the fields of a rendered frame's CameraInfo, without ROS."""
    region = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)
    fields = pinhole_fields(frame.camera_matrix, *frame.labels.shape)
    return SimpleNamespace(**fields, roi=region, binning_x=0, binning_y=0)


@cache
def street_view(seed: int, time_s: float) -> StreetView:
    """Render a street of 640 x 480 px."""
    scene = DriveScene(seed)
    frame = scene.frame(time_s)
    lens = lens_of(street_info(frame), *frame.labels.shape)
    return StreetView(frame=frame, plan=scene.plan(time_s), lens=lens)


def contacts(
    view: StreetView, mask: NDArray[np.uint8], pitch_error_rad: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scan's ranges (R,) and the true ones (R,), infinite where all is free."""
    table = build_table(view.lens, view.base_from_camera(pitch_error_rad), LAYOUT)
    states = state_table(load_labels('camvid'), ('drivable',))
    ranges = read_ground(table, mask, states).ranges_m.astype(np.float64)
    return ranges, view.plan.contacts(_ANGLES_RAD, LAYOUT.range_max_m)


def score(
    pairs: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> ContactScores:
    """Compare ranges with the truth, over many frames."""
    ranges, truth = (np.concatenate(items) for items in zip(*pairs, strict=True))
    is_known = ~np.isnan(ranges)
    ranges, truth = ranges[is_known], truth[is_known]
    both = np.isfinite(ranges) & np.isfinite(truth)
    errors = np.abs(ranges[both] - truth[both]) / truth[both]
    found = np.minimum(ranges, LAYOUT.range_max_m)
    true = np.minimum(truth, LAYOUT.range_max_m)
    is_false = found < true * (1 - _MARGIN_SHARE) - _MARGIN_M
    is_late = found > true * (1 + _MARGIN_SHARE) + _MARGIN_M
    return ContactScores(
        num_rays=len(ranges), median_error=float(np.median(errors)),
        false_share=float(is_false.mean()), late_share=float(is_late.mean()),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class PointScores:
    """Painted points against the truth."""

    num_labelled: int
    labelled_share: float
    """Of the points that fall into the picture."""
    right_share: float
    """Of the labelled points, those that have their own class."""
    occluded_wrong_share: float
    """Of the points that the camera does not see, those painted with another's class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LidarView:
    """A sweep and a frame of the same street, each from its own place and time."""

    frame: DriveFrame
    lens: Lens
    sweep: LidarSweep
    camera_from_lidar: Matrix


def street_from_body(pose: DrivePose) -> Matrix:
    """Return the pose of a body (x ahead) in a fixed frame along the street."""
    place = (float(pose.z_m), -float(pose.x_m), float(pose.height_m))
    return matrix_of_pose((*place, 0.0, 0.0, -float(pose.yaw_rad)))


def lidar_view(
    seed: int, time_s: float, *, offset_s: float = 0.0, speed_mps: float = 0.0
) -> LidarView:
    """Look at a street with a lidar on the roof, and a camera below and some time later.

    Args:
        seed: Of the street.
        time_s: When the lidar measures [s].
        offset_s: How much later the camera does; things move meanwhile.
        speed_mps: Of both, along the street.
    """
    scene, fine = DriveScene(seed), DriveScene(seed, height=1440, width=1920)
    start = scene.pose(time_s)
    roof = replace(start, z_m=start.z_m - 0.3, height_m=start.height_m + 0.4)
    later = replace(start, z_m=start.z_m + speed_mps * offset_s)
    frame = scene.frame(time_s + offset_s, later)
    fixed_from_camera = street_from_body(later) @ BODY_FROM_OPTICAL
    return LidarView(
        frame=frame, lens=lens_of(street_info(frame), *frame.labels.shape),
        sweep=sweep(fine, time_s, roof),
        camera_from_lidar=np.linalg.inv(fixed_from_camera) @ street_from_body(roof),
    )  # fmt: skip


def score_points(views: Iterable[LidarView], rules: PaintRules) -> PointScores:
    """Paint the true masks on the sweeps and compare with the sweeps' own classes."""
    counts = np.sum([_counts(view, rules) for view in views], axis=0)
    seen, labelled, right, occluded, wrong = (int(count) for count in counts)
    return PointScores(
        num_labelled=labelled, labelled_share=labelled / seen, right_share=right / labelled,
        occluded_wrong_share=wrong / occluded,
    )  # fmt: skip


def _counts(view: LidarView, rules: PaintRules) -> NDArray[np.int64]:
    """Count points: seen in the picture, labelled, right, occluded, those wrongly painted."""
    points, truth = view.sweep.points, view.sweep.labels
    found = paint(points, view.camera_from_lidar, view.lens, view.frame.labels, None, rules)
    inside = points @ view.camera_from_lidar[:3, :3].T + view.camera_from_lidar[:3, 3]
    places, is_seen = view.lens.project(inside)
    columns, rows = np.rint(np.where(is_seen[:, None], places, 0)).astype(int).T
    is_occluded = is_seen & (inside[:, 2] > 1.1 * view.frame.depth[rows, columns] + 1.0)
    is_labelled = found.class_ids != IGNORE_ID
    is_right = is_labelled & (found.class_ids == truth)
    is_wrong = is_occluded & is_labelled & ~is_right
    kinds = (is_seen, is_labelled, is_right, is_occluded, is_wrong)
    return np.array([np.count_nonzero(kind) for kind in kinds], np.int64)
