# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How right contacts are on rendered streets, whose geometry is known; tests and figures ask."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive import DriveFrame
from hyperseg_core.drive import DriveScene
from hyperseg_core.drive.plan import StreetPlan
from hyperseg_core.labels import load_labels
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.lens import lens_of
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
