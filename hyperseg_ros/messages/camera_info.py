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
    """Return the CameraInfo of an image resized to (height, width) [px].

    A CameraInfo describes the whole sensor; binning and the region of interest say which of it the
    image shows (sensor_msgs/CameraInfo). They go into the matrices here, as image_geometry puts
    them in, so that the result describes the resized image alone. Focal lengths and centres scale;
    distortion and rotation do not.

    Args:
        info: The image's own CameraInfo.
        height: Of the resized image [px].
        width: Of the resized image [px].
    """
    scaled = copy.deepcopy(info)
    region = info.roi
    seen_height, seen_width = region.height or info.height, region.width or info.width
    if not seen_height or not seen_width:
        return scaled
    x, y = width / seen_width, height / seen_height
    scaled.height, scaled.width = height, width
    scaled.binning_x = scaled.binning_y = 0
    k, p = np.array(info.k, np.float64).reshape(3, 3), np.array(info.p, np.float64).reshape(3, 4)
    for matrix in (k, p):
        matrix[0, 2] -= region.x_offset
        matrix[1, 2] -= region.y_offset
        matrix[0] *= x
        matrix[1] *= y
    scaled.k, scaled.p = k.flatten(), p.flatten()
    scaled.roi.x_offset = scaled.roi.y_offset = scaled.roi.height = scaled.roi.width = 0
    return scaled
