# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered street from above: where its kerbs are, and what stands where. The planners' truth.

Street coordinates are metres: x to the right of the road's middle, z along it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.objects import Thing

STREET_LENGTH_M = 400.0
"""Things repeat after so much."""
NEAREST_M = 3.5
"""Things whose middle is nearer, along the camera's axis, are not painted."""
_HALF_SIZES_M = {'pedestrian': (0.2, 0.05), 'cyclist': (0.2, 0.5), 'tree': (0.14, 0.05)}
_CAR_M = (0.875, 2.1)
_POST_M = (0.06, 0.05)


@dataclass(frozen=True, kw_only=True, slots=True)
class DrivePose:
    """Where a camera stands and looks; its axis is level."""

    x_m: float
    z_m: float
    yaw_rad: float
    """To the right of the street's direction."""
    height_m: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StreetPlan:
    """The ground around a pose, in the body's axes: x ahead, y to the left [m]."""

    road_m: float
    """Half the road's width; the kerbs are at x = -road_m and road_m of the street."""
    lane_m: float
    pose: DrivePose
    boxes: NDArray[np.float64]
    """(N, 2): x and z of each thing's middle in the street."""
    half_sizes: NDArray[np.float64]
    """(N, 2): half of each thing's width (x) and length (z)."""

    def contacts(self, angles_rad: NDArray[np.float64], max_m: float) -> NDArray[np.float64]:
        """Return how far each ray from the pose is free of kerbs and things that are painted.

        Args:
            angles_rad: Directions (R,), from straight ahead to the left.
            max_m: Where rays end [m].

        Returns:
            Distances (R,) [m], infinite where nothing is met before `max_m`.
        """
        # Right of the street's direction is positive there, left of the body's here.
        heading = self.pose.yaw_rad - angles_rad
        dx, dz = np.sin(heading)[:, None], np.cos(heading)[:, None]
        with np.errstate(divide='ignore', invalid='ignore'):
            kerbs = (self.road_m - np.sign(dx[:, 0]) * self.pose.x_m) / np.abs(dx[:, 0])
            near, far = [], []
            for delta, own, middle, half in (
                (dx, self.pose.x_m, self.boxes[:, 0], self.half_sizes[:, 0]),
                (dz, self.pose.z_m, self.boxes[:, 1], self.half_sizes[:, 1]),
            ):
                sides = np.stack(((middle - half - own) / delta, (middle + half - own) / delta))
                near.append(sides.min(0))
                far.append(sides.max(0))
        enter, leave = np.maximum(*near), np.minimum(*far)
        hits = np.where((enter <= leave) & (leave > 0), np.maximum(enter, 0), np.inf)
        offsets = self.boxes - (self.pose.x_m, self.pose.z_m)
        ahead = offsets @ (np.sin(self.pose.yaw_rad), np.cos(self.pose.yaw_rad))
        hits = hits[:, ahead > NEAREST_M]
        first = np.minimum(kerbs, hits.min(1, initial=np.inf))
        return np.where(first <= max_m, first, np.inf)

    def clearance_m(self, half_width_m: float, front_m: float, back_m: float) -> float:
        """Return the room between a vehicle at the pose and the nearest kerb or thing [m].

        Args:
            half_width_m: Half of the vehicle's width.
            front_m: How far it reaches ahead of the pose.
            back_m: How far it reaches behind the pose.

        Returns:
            Negative or 0 where it touches.
        """
        along, across = np.meshgrid(
            np.linspace(-back_m, front_m, 25), np.linspace(-half_width_m, half_width_m, 9)
        )
        sin, cos = np.sin(self.pose.yaw_rad), np.cos(self.pose.yaw_rad)
        x = (self.pose.x_m + across * cos + along * sin).ravel()[:, None]
        z = (self.pose.z_m - across * sin + along * cos).ravel()[:, None]
        kerb = float((self.road_m - np.abs(x)).min())
        aside = np.abs(x - self.boxes[:, 0]) - self.half_sizes[:, 0]
        ahead = np.abs(z - self.boxes[:, 1]) - self.half_sizes[:, 1]
        outside = np.hypot(np.maximum(aside, 0), np.maximum(ahead, 0))
        inside = np.minimum(np.maximum(aside, ahead), 0)
        return min(kerb, float((outside + inside).min(initial=np.inf)))


def plan_of(
    things: Sequence[Thing], pose: DrivePose, time_s: float, road_m: float, lane_m: float
) -> StreetPlan:
    """Return the plan at a time, of the things nearest to a pose along the repeating street."""
    middles, halves = [], []
    for thing in things:
        ahead = (thing.z_m + thing.speed_mps * time_s - pose.z_m) % STREET_LENGTH_M
        if ahead > STREET_LENGTH_M / 2:
            ahead -= STREET_LENGTH_M
        half = _CAR_M if thing.kind == 'car' else _HALF_SIZES_M.get(thing.kind, _POST_M)
        scale = thing.scale if thing.kind in {'car', 'pedestrian', 'cyclist'} else 1.0
        middles.append((thing.x_m, pose.z_m + ahead))
        halves.append((half[0] * scale, half[1] * scale))
    return StreetPlan(
        road_m=road_m, lane_m=lane_m, pose=pose,
        boxes=np.array(middles, np.float64).reshape(-1, 2),
        half_sizes=np.array(halves, np.float64).reshape(-1, 2),
    )  # fmt: skip
