# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From points before a camera to pixels: CameraInfo's lens models.

The equations are those of sensor_msgs/CameraInfo and of OpenCV's documentation: `plumb_bob` and
`rational_polynomial` (Brown's model; 3 and 6 radial, 2 tangential coefficients), and `equidistant`
(Kannala and Brandt; 4 coefficients of the angle).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_ros.messages.camera_info import scaled_camera_info

Floats = NDArray[np.floating[Any]]

_COEFFICIENTS = {'plumb_bob': 5, 'rational_polynomial': 8, 'equidistant': 4}
_FISHEYE = {'equidistant', 'fisheye'}
_NEAR_M = 1e-3
_WIDEST = 12.0
"""Tangent of the widest angle that a polynomial is asked about."""
_WIDEST_RAD = np.pi


class LensError(InputError):
    """A CameraInfo that cannot be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lens:
    """A camera's intrinsics, for images of one size."""

    height: int
    width: int
    matrix: NDArray[np.float64]
    """(3, 3) [px]; the first pixel's centre is (0, 0)."""
    model: str
    distortion: NDArray[np.float64]
    """Eight coefficients of Brown's model, or four of the equidistant one."""
    limit: float
    """Where the model turns back on itself: tangent (Brown) or angle [rad] (equidistant)."""

    def project(self, points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Project points of the optical frame.

        Args:
            points: (..., 3) [m]: x right, y down, z ahead.

        Returns:
            Pixels (..., 2), column and row; and (...) whether a point is in the picture: before
            the lens, inside the image, and where the model still tells directions apart.
        """
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        with np.errstate(all='ignore'):  # points that are not finite are not seen
            if self.model in _FISHEYE:
                u, v, is_seen = self._bend(x, y, z)
            else:
                is_seen = (z > _NEAR_M) & (z < np.inf)
                depth = np.where(is_seen, z, 1)
                u, v = x / depth, y / depth
                if self.distortion.any():
                    u, v, is_straight = self._distort(u, v)
                    is_seen = is_seen & is_straight
            k = self.matrix
            column = k[0, 0] * u + k[0, 1] * v + k[0, 2]
            row = k[1, 1] * v + k[1, 2]
            # Written so that NaN is outside.
            is_seen = is_seen & (column > -0.5) & (column < self.width - 0.5)
            is_seen = is_seen & (row > -0.5) & (row < self.height - 0.5)
        return np.stack((column, row), axis=-1), is_seen

    def _distort(self, u: Floats, v: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        k1, k2, p1, p2, k3, k4, k5, k6 = self.distortion
        r2 = u * u + v * v
        is_straight = r2 < self.limit**2
        r2 = np.minimum(r2, self.limit**2)
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        if k4 or k5 or k6:
            radial = radial / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        bent_u = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
        bent_v = v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
        return bent_u, bent_v, is_straight

    def _bend(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Project by the angle from the axis; it may be more than a right angle."""
        across = np.hypot(x, y)
        angle = np.arctan2(across, z)
        a2 = angle * angle
        k1, k2, k3, k4 = self.distortion
        bent = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
        scale = np.where(across > 1e-9, bent / np.maximum(across, 1e-9), 0)
        distance = across + np.abs(z)
        is_seen = (angle < self.limit) & (distance > _NEAR_M) & (distance < np.inf)
        return x * scale, y * scale, is_seen


def lens_of(info: Any, height: int, width: int, *, is_rectified: bool = False) -> Lens:
    """Read a CameraInfo for images of (height, width) [px].

    Args:
        info: sensor_msgs/CameraInfo of the camera; binning and region of interest are worked in.
        height: Of the images [px].
        width: Of the images [px].
        is_rectified: Whether the images are rectified: P is used, and no distortion.

    Raises:
        LensError: If a number is not finite, the focal length is not positive, the size has
            another shape than the images, or the distortion model is not known.
    """
    _check_shape(info, height, width)
    scaled = scaled_camera_info(info, height, width)
    whole = np.array(scaled.p if is_rectified else scaled.k, np.float64).reshape(3, -1)
    matrix = whole[:, :3].copy()
    if not np.isfinite(matrix).all() or not min(matrix[0, 0], matrix[1, 1]) > 0:
        name = 'P' if is_rectified else 'K'
        msg = (
            f'CameraInfo has focal lengths {matrix[0, 0]:g} and {matrix[1, 1]:g} px in {name}: '
            f'an uncalibrated camera; calibrate it, or give its driver a camera_info_url.'
        )
        raise LensError(msg)
    # Scaling keeps the corner of the first pixel where it is, not its centre.
    for axis, (scaled_px, own_px) in enumerate(
        ((width, _seen(info)[1]), (height, _seen(info)[0]))
    ):
        matrix[axis, 2] += 0.5 * scaled_px / own_px - 0.5
    model, coefficients = _distortion(info, is_rectified=is_rectified)
    limit = _limit(model, coefficients)
    return Lens(
        height=height, width=width, matrix=matrix, model=model, distortion=coefficients,
        limit=limit,
    )  # fmt: skip


def _seen(info: Any) -> tuple[int, int]:
    """Return the height and width [px] of what the image shows of the sensor, before binning."""
    return int(info.roi.height or info.height), int(info.roi.width or info.width)


def _check_shape(info: Any, height: int, width: int) -> None:
    own_height, own_width = _seen(info)
    if not own_height or not own_width:
        msg = f'CameraInfo says {own_height} x {own_width} px, a camera without a size.'
        raise LensError(msg)
    # A scaled image has the same shape, up to rounding.
    if abs(own_height * width - own_width * height) > max(own_height, own_width):
        msg = (
            f'CameraInfo is of {own_height} x {own_width} px, the image of {height} x {width} px, '
            f'another shape: they are not of one camera.'
        )
        raise LensError(msg)


def _distortion(info: Any, *, is_rectified: bool) -> tuple[str, NDArray[np.float64]]:
    given = np.array(info.d, np.float64)
    model = str(info.distortion_model) or 'plumb_bob'
    model = 'equidistant' if model == 'fisheye' else model
    if is_rectified or (not given.any() and model not in _COEFFICIENTS):
        return 'plumb_bob', np.zeros(8)
    if model not in _COEFFICIENTS:
        msg = f'Distortion model {model[:80]!r} is not known; known: {", ".join(_COEFFICIENTS)}.'
        raise LensError(msg)
    if not np.isfinite(given).all() or given[8:].any():
        msg = (
            f'CameraInfo has the distortion {given.tolist()!s:.120}; at most eight finite '
            f'coefficients are known.'
        )
        raise LensError(msg)
    full = np.zeros(4 if model in _FISHEYE else 8)
    count = min(_COEFFICIENTS[model], len(given))
    full[:count] = given[:count]
    return model, full


def _limit(model: str, coefficients: NDArray[np.float64]) -> float:
    """Return where the distorted radius stops growing: beyond, pixels are met a second time."""
    if model in _FISHEYE:
        angle = np.linspace(0, _WIDEST_RAD, 4096)
        powers = angle[:, None] ** np.array((3, 5, 7, 9))
        bent, undistorted = angle + powers @ coefficients, angle
    else:
        k1, k2, _, _, k3, k4, k5, k6 = coefficients
        undistorted = np.linspace(0, _WIDEST, 16384)
        r2 = undistorted**2
        with np.errstate(all='ignore'):
            below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
            bent = undistorted * (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / below
    with np.errstate(invalid='ignore'):
        turns = np.flatnonzero(~(np.diff(bent) > 0))
    if len(turns):
        return float(undistorted[turns[0]])
    return float(np.inf) if model not in _FISHEYE else _WIDEST_RAD
