# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo: of an ideal camera, and of a resized image."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pinhole_fields(matrix: NDArray[np.float64], height: int, width: int) -> dict[str, Any]:
    """Return the fields of an ideal pinhole camera's CameraInfo, but its header.

    Args:
        matrix: Camera matrix K (3, 3) [px].
        height: Of the image [px].
        width: Of the image [px].
    """
    return {
        'height': height,
        'width': width,
        'distortion_model': 'plumb_bob',
        'd': np.zeros(5),
        'k': matrix.flatten(),
        'r': np.eye(3).flatten(),
        'p': np.hstack((matrix, np.zeros((3, 1)))).flatten(),
    }


def scaled_camera_info(info: Any, height: int, width: int) -> Any:
    """Return a copy of a CameraInfo for an image resized to (height, width) [px].

    Focal lengths and centres scale with the image; distortion and rotation do not (REP 104).
    """
    scaled = copy.deepcopy(info)
    if not info.height or not info.width:
        return scaled
    x, y = width / info.width, height / info.height
    scaled.height, scaled.width = height, width
    k, p = np.array(info.k, np.float64).reshape(3, 3), np.array(info.p, np.float64).reshape(3, 4)
    for matrix in (k, p):
        matrix[0] *= x
        matrix[1] *= y
    scaled.k, scaled.p = k.flatten(), p.flatten()
    return scaled
