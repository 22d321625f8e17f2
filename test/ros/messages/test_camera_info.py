# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.camera_info import scaled_camera_info

K = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])


def _info(binning: int = 0, **roi: int) -> Any:
    region = {'x_offset': 0, 'y_offset': 0, 'height': 0, 'width': 0, 'do_rectify': False} | roi
    info = SimpleNamespace(**pinhole_fields(K, 480, 640), binning_x=binning, binning_y=binning)
    info.roi = SimpleNamespace(**region)
    info.p = info.p.copy()
    info.p[3] = -50.0  # of a stereo pair: -f times the baseline
    return info


def _project(info: Any, point: np.ndarray) -> np.ndarray:
    """Return where a point (X, Y, Z) falls in an image that the info describes whole [px]."""
    pixel = np.asarray(info.k).reshape(3, 3) @ point
    return pixel[:2] / pixel[2]


@pytest.mark.parametrize(
    ('info', 'offset', 'factor', 'size'),
    [
        (_info(), (0, 0), 0.5, (240, 320)),
        (_info(binning=2), (0, 0), 0.5, (240, 320)),
        (_info(x_offset=100, y_offset=40, height=200, width=400), (100, 40), 1.0, (200, 400)),
        (_info(2, x_offset=100, y_offset=40, height=200, width=400), (100, 40), 0.5, (100, 200)),
    ],
)
def test_points_fall_where_the_resized_image_shows_them(
    info: Any, offset: tuple[int, int], factor: float, size: tuple[int, int]
) -> None:
    point = np.array([0.1, -0.05, 2.0])
    full = (K @ point)[:2] / point[2]
    scaled = scaled_camera_info(info, *size)
    np.testing.assert_allclose(_project(scaled, point), (full - offset) * factor)
    assert (scaled.height, scaled.width) == size
    assert scaled.binning_x == scaled.binning_y == scaled.roi.width == scaled.roi.x_offset == 0
    assert scaled.p[3] == pytest.approx(-50.0 * factor)
    np.testing.assert_array_equal(info.k, K.flatten())  # the camera's own is left as it was


def test_info_without_size_is_left_as_it_is() -> None:
    info = _info()
    info.height = info.width = 0
    np.testing.assert_array_equal(scaled_camera_info(info, 10, 20).k, K.flatten())
