# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ground from above, as `ground` sees it, on the rendered street's true plan."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.plan import StreetPlan

_SIDE_PX = 220
_AHEAD_M, _BEHIND_M = 17.0, 1.0
_PX_PER_M = _SIDE_PX / (_AHEAD_M + _BEHIND_M)
_GRASS, _ROAD, _THING = (70, 80, 70), (120, 110, 125), (170, 60, 60)
_FREE, _CONTACT, _FRAME = (60, 200, 90), (255, 235, 60), (235, 235, 235)
Picture = NDArray[np.uint8]


def _pixels(places: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return pixels (N, 2) of places (N, 2): x ahead and y to the left [m]."""
    across = _SIDE_PX / 2 - places[:, 1] * _PX_PER_M
    down = (_AHEAD_M - places[:, 0]) * _PX_PER_M
    return np.column_stack((across, down)).round().astype(np.int32)


def _in_body(plan: StreetPlan, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places of the street (N, 2: x to the right, z along) as x ahead, y to the left."""
    right, along = (places - (plan.pose.x_m, plan.pose.z_m)).T
    sin, cos = np.sin(plan.pose.yaw_rad), np.cos(plan.pose.yaw_rad)
    return np.column_stack((along * cos + right * sin, along * sin - right * cos))


def birds_eye(plan: StreetPlan, scan: Any, outline: Any) -> Picture:
    """Draw the true road and things, the free ground over them, and the contacts.

    Args:
        plan: The truth, for the moment of the mask.
        scan: The mask's LaserScan.
        outline: The mask's PolygonStamped.

    Returns:
        (220, 220, 3) RGB.
    """
    picture = np.full((_SIDE_PX, _SIDE_PX, 3), _GRASS, np.uint8)
    near, far = plan.pose.z_m - 10, plan.pose.z_m + 40
    kerbs = ((-plan.road_m, near), (plan.road_m, near), (plan.road_m, far), (-plan.road_m, far))
    cv2.fillPoly(picture, [_pixels(_in_body(plan, np.array(kerbs)))], _ROAD)
    for middle, half in zip(plan.boxes, plan.half_sizes, strict=True):
        signs = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)))
        cv2.fillPoly(picture, [_pixels(_in_body(plan, middle + signs * half))], _THING)
    if outline.polygon.points:
        corners = np.array([(point.x, point.y) for point in outline.polygon.points])
        painted = cv2.fillPoly(picture.copy(), [_pixels(corners)], _FREE)
        picture = cv2.addWeighted(painted, 0.45, picture, 0.55, 0)
    ranges = np.array(scan.ranges, np.float64)
    angles = scan.angle_min + scan.angle_increment * np.arange(len(ranges))
    is_contact = np.isfinite(ranges)
    contacts = (
        ranges[is_contact, None] * np.column_stack((np.cos(angles), np.sin(angles)))[is_contact]
    )
    for column, row in _pixels(contacts).tolist():
        cv2.circle(picture, (column, row), 2, _CONTACT, -1)
    cv2.circle(picture, tuple(_pixels(np.zeros((1, 2)))[0].tolist()), 4, _FRAME, -1)
    cv2.rectangle(picture, (0, 0), (_SIDE_PX - 1, _SIDE_PX - 1), _FRAME, 1)
    return picture


def with_inset(picture: Picture, inset: Picture) -> Picture:
    """Return a picture with an inset in its upper right corner, where there is room for it."""
    height, width = inset.shape[:2]
    if picture.shape[0] < height + 8 or picture.shape[1] < width + 8:
        return picture
    shown = picture.copy()
    shown[4 : 4 + height, -4 - width : -4] = inset
    return shown
