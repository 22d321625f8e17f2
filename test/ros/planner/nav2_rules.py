# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Nav2's layers do with a scan and a grid, rule by rule; a model of ours, for tests.

Written from the behaviour of nav2_costmap_2d's obstacle layer, observation buffer and static
layer, of laser_geometry's projection and of nav2_collision_monitor's scan source (August 2026);
each function is one rule.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

FREE, LETHAL, UNKNOWN = 0, 254, 255


@dataclass(frozen=True, kw_only=True)
class Source:
    """An observation source of the obstacle layer, with Nav2's own defaults."""

    inf_is_valid: bool = False
    min_obstacle_height: float = 0.0
    max_obstacle_height: float = 0.0
    obstacle_max_range: float = 2.5
    raytrace_max_range: float = 3.0
    marking: bool = True
    clearing: bool = False


def with_valid_inf(ranges: np.ndarray, range_max: float) -> np.ndarray:
    """Rule: with inf_is_valid, +Inf becomes a tenth of a millimetre less than range_max."""
    found = ranges.astype(np.float32).copy()
    found[np.isposinf(found)] = np.float32(range_max) - np.float32(0.0001)
    return found


def projected(scan: Any, *, inf_is_valid: bool) -> np.ndarray:
    """Rule: a point for each range that is at least range_min and less than range_max."""
    ranges = np.asarray(scan.ranges, np.float32)
    if inf_is_valid:
        ranges = with_valid_inf(ranges, scan.range_max)
    angles = scan.angle_min + scan.angle_increment * np.arange(len(ranges))
    with np.errstate(invalid='ignore'):
        kept = (ranges >= np.float32(scan.range_min)) & (ranges < np.float32(scan.range_max))
    return np.column_stack((ranges * np.cos(angles), ranges * np.sin(angles)))[kept]


class ObstacleCostmap:
    """A costmap with an obstacle layer only, the robot in its middle, x ahead."""

    def __init__(self, size_m: float, resolution_m: float, source: Source) -> None:
        self.resolution_m, self.source = resolution_m, source
        self.count = round(size_m / resolution_m)
        self.cells = np.full((self.count, self.count), UNKNOWN, np.uint8)

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        col = int(np.floor(x / self.resolution_m + self.count / 2))
        row = int(np.floor(y / self.resolution_m + self.count / 2))
        inside = 0 <= col < self.count and 0 <= row < self.count
        return (row, col) if inside else None

    def value(self, x: float, y: float) -> int:
        where = self.cell(x, y)
        assert where is not None
        return int(self.cells[where])

    def update(self, scan: Any, height_m: float = 0.0) -> None:
        """Take a scan whose frame's plane lies at a height in the global frame."""
        points = projected(scan, inf_is_valid=self.source.inf_is_valid)
        # Rule: what is outside the source's heights is gone, for marking and for clearing.
        if not self.source.min_obstacle_height <= height_m <= self.source.max_obstacle_height:
            return
        for x, y in points if self.source.clearing else ():
            self._clear(float(x), float(y))
        for x, y in points if self.source.marking else ():
            where = self.cell(x, y)
            # Rule: marked within the map, and within obstacle_max_range only.
            if where is not None and np.hypot(x, y) <= self.source.obstacle_max_range:
                self.cells[where] = LETHAL

    def _clear(self, x: float, y: float) -> None:
        """Rule: from the sensor to the point, the map's edge or raytrace_max_range."""
        length = min(np.hypot(x, y), self.source.raytrace_max_range)
        for share in np.linspace(0, length / np.hypot(x, y), int(length / self.resolution_m * 2)):
            where = self.cell(share * x, share * y)
            if where is None:
                return
            self.cells[where] = FREE


def monitored(scan: Any) -> np.ndarray:
    """Rule of the collision monitor: ranges from range_min to range_max; the rest is no point."""
    ranges = np.asarray(scan.ranges, np.float32)
    with np.errstate(invalid='ignore'):
        return ranges[(ranges >= scan.range_min) & (ranges <= scan.range_max)]


def static_cost(occupancy: int, *, track_unknown_space: bool) -> int:
    """Rule of the static layer, trinary, with lethal_cost_threshold 100."""
    if occupancy == -1:
        return UNKNOWN if track_unknown_space else FREE
    return LETHAL if occupancy >= 100 else FREE


def combined(layer: int, master: int, *, use_maximum: bool) -> int:
    """Rule of the static layer in a rolling window: it overwrites, or the larger number stays."""
    return max(layer, master) if use_maximum else layer
