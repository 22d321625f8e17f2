# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images to points, one for each pixel (REP 118): 16UC1 [mm] and 32FC1 [m]."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_ros.messages.point_cloud import Points
from hyperseg_ros.messages.raw_image import image_rows
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.lens import LensError

_CORRECTIONS = 10
_AWAY_PX = 1.0
_WIDEST = 100.0
"""Tangent of the widest angle of a ray, half a degree from the side."""
_LEAST_SHARE = 0.25
"""Of the pixels: a fisheye lens fills no more of a wide picture's corners."""
_KINDS = {'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'}


def read_depth(message: Any) -> NDArray[np.float32]:
    """Return the depth (H, W) [m] of an Image message; NaN where it has none.

    Raises:
        InputError: If the encoding is no depth, or size, step or data do not fit.
    """
    if message.encoding not in _KINDS:
        msg = f'Encoding {message.encoding[:80]!r} is no depth; those that are: 16UC1, 32FC1.'
        raise InputError(msg)
    kind = np.dtype(('>' if message.is_bigendian else '<') + _KINDS[message.encoding])
    rows = image_rows(message, int(message.width) * kind.itemsize, int(message.height))
    values = np.ascontiguousarray(rows).view(kind)
    depth = values.astype(np.float32)
    if kind.itemsize == 2:
        depth *= np.float32(0.001)
    depth[~(depth > 0) | (depth == np.inf)] = np.nan
    return depth


class DepthRays:
    """The direction of each pixel of a camera, which its depth stretches to a point."""

    def __init__(self, lens: Lens) -> None:
        """Undistort every pixel, once.

        Raises:
            LensError: If the undistorted rays do not lead back to their pixels.
        """
        self.lens = lens
        shape = (lens.height, lens.width)
        columns, rows = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
        pixels = np.stack((columns, rows), axis=-1).reshape(-1, 1, 2).astype(np.float64)
        with np.errstate(all='ignore'):
            if lens.model == 'equidistant':
                straight = cv2.fisheye.undistortPoints(pixels, lens.matrix, lens.distortion)
            else:
                straight = cv2.undistortPoints(pixels, lens.matrix, lens.distortion)
            if lens.model != 'equidistant' and lens.distortion.any():
                straight = _corrected(lens, pixels, straight)
            leads_back = _lead_back(lens, pixels, straight)
        share = float(leads_back.mean())
        if share < _LEAST_SHARE:
            msg = (
                f'CameraInfo undistorts {100 * share:.0f} % of the pixels only: focal length '
                f'{lens.matrix[0, 0]:g} px, distortion {lens.distortion.tolist()!s:.120}, which '
                f'no camera has; calibrate it.'
            )
            raise LensError(msg)
        self._rays = np.ones((*shape, 3), np.float32)
        self._rays[..., :2] = np.where(leads_back, straight, np.nan).reshape(*shape, 2)
        self._points = np.empty((*shape, 3), np.float32)

    def points(self, depth: NDArray[np.float32]) -> Points:
        """Return the points (H * W, 3) of a depth image (H, W) [m]; valid until the next call.

        Raises:
            InputError: If it is of another size than the camera's images.
        """
        if depth.shape != self._rays.shape[:2]:
            own = self._rays.shape
            msg = (
                f'The depth is of {depth.shape[0]} x {depth.shape[1]} px, its camera_info of '
                f'{own[0]} x {own[1]} px.'
            )
            raise InputError(msg)
        np.multiply(self._rays, depth[..., None], out=self._points)
        return self._points.reshape(-1, 3)


def _lead_back(
    lens: Lens, pixels: NDArray[np.float64], straight: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which rays (N, 1, 2) are seen at their pixels (N, 1, 2); returns (N, 1, 1)."""
    points = np.concatenate((straight, np.ones_like(straight[..., :1])), axis=-1)
    places, is_seen = lens.project(points)
    away_px = np.abs(places - pixels).max(-1, keepdims=True)
    is_ahead = np.abs(straight).max(-1, keepdims=True) < _WIDEST
    return (away_px < _AWAY_PX) & is_ahead & is_seen[..., None]  # NaN is none of them


def _corrected(
    lens: Lens, pixels: NDArray[np.float64], straight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Go on where OpenCV stops after five steps, a tenth of a pixel off in strong distortion."""
    focal = lens.matrix[(0, 1), (0, 1)]
    for _ in range(_CORRECTIONS):
        points = np.concatenate((straight, np.ones_like(straight[..., :1])), axis=-1)
        straight = straight - (lens.project(points)[0] - pixels) / focal
    return straight


def filtered_depth(message: Any, remove: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the data (H, W * bytes) of a depth image without some pixels.

    Args:
        message: The depth image, one that `read_depth` reads.
        remove: Pixels (H, W) to become 0 (16UC1) or NaN (32FC1): no measurement, by REP 118.
    """
    kind = np.dtype(('>' if message.is_bigendian else '<') + _KINDS[message.encoding])
    rows = image_rows(message, int(message.width) * kind.itemsize, int(message.height))
    values = np.array(rows).view(kind)
    values[remove] = 0 if kind.itemsize == 2 else np.nan
    return values.view(np.uint8)
