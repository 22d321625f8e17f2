# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TransformStamped messages, for tests."""

from geometry_msgs.msg import TransformStamped
import numpy as np


def transform_message(
    parent: str, child: str, matrix: np.ndarray, stamp_ns: int
) -> TransformStamped:
    """Return the pose of a frame in its parent; the rotation's trace must not be -1."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    r = matrix[:3, :3]
    w = np.sqrt(1 + np.trace(r)) / 2
    q = np.array((r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1])) / (4 * w)
    t = message.transform
    t.rotation.x, t.rotation.y, t.rotation.z, t.rotation.w = *map(float, q), float(w)
    t.translation.x, t.translation.y, t.translation.z = map(float, matrix[:3, 3])
    return message
