# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a camera or a sensor is: rigid transforms as (4, 4) matrices.

A matrix called `base_from_camera` takes a point of the camera's frame to the base frame.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError

Matrix = NDArray[np.float64]

BODY_FROM_OPTICAL: Matrix = np.array(
    ((0, 0, 1, 0), (-1, 0, 0, 0), (0, -1, 0, 0), (0, 0, 0, 1)), np.float64
)
"""From optical axes (x right, y down, z ahead) to body axes (x ahead, y left, z up); REP 103."""


def matrix_of_pose(pose: Sequence[float]) -> Matrix:
    """Return the matrix of [x, y, z, roll, pitch, yaw] [m, rad]; angles about fixed axes."""
    x, y, z, roll, pitch, yaw = pose
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    cy, sy = np.cos(yaw), np.sin(yaw)
    return np.array(
        (
            (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, x),
            (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, y),
            (-sp, cp * sr, cp * cr, z),
            (0, 0, 0, 1),
        )
    )


def matrix_of_transform(transform: Any) -> Matrix:
    """Return the matrix of a geometry_msgs/Transform.

    Raises:
        InputError: If a number is not finite, or the quaternion is no rotation.
    """
    t, q = transform.translation, transform.rotation
    numbers = np.array((q.x, q.y, q.z, q.w, t.x, t.y, t.z), np.float64)
    with np.errstate(over='ignore', invalid='ignore'):
        norm = float(np.linalg.norm(numbers[:4]))
    if not np.isfinite(numbers).all() or not 0.9 < norm < 1.1:
        msg = f'A transform has the quaternion {numbers[:4].tolist()}, which is no rotation.'
        raise InputError(msg)
    x, y, z, w = numbers[:4] / norm
    matrix = np.eye(4)
    matrix[:3, :3] = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    matrix[:3, 3] = numbers[4:]
    return matrix


def has_moved(before: Matrix, after: Matrix, tolerance_m: float, tolerance_rad: float) -> bool:
    """Tell whether two poses differ by more than a tolerance."""
    shift_m = float(np.linalg.norm(after[:3, 3] - before[:3, 3]))
    turn = before[:3, :3].T @ after[:3, :3]
    # The sine from the skew part: the cosine says nothing of small angles.
    skew = (turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])
    angle_rad = float(np.arctan2(np.linalg.norm(skew), np.trace(turn) - 1))
    return shift_m > tolerance_m or angle_rad > tolerance_rad
