# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hyperseg_core.errors import InputError
from hyperseg_ros.planner.accuracy import street_info
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.depth import DepthRays
from hyperseg_ros.planner.depth import filtered_depth
from hyperseg_ros.planner.depth import read_depth
from hyperseg_ros.planner.lens import LensError
from hyperseg_ros.planner.lens import lens_of

DEPTH = np.array(((1.5, 0.0, 2.25), (np.nan, 7.0, 65.0)), np.float32)


def message(encoding: str, *, big: bool = False, padding: int = 0) -> Any:
    kind = ('>' if big else '<') + ('u2' if encoding == '16UC1' else 'f4')
    scaled = np.nan_to_num(1000 * DEPTH) if encoding == '16UC1' else DEPTH
    rows = scaled.astype(kind).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return SimpleNamespace(
        encoding=encoding, is_bigendian=int(big), height=2, width=3, step=rows.shape[1],
        data=rows.tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_depth_is_metres_and_nan_where_there_is_none(
    encoding: str, big: bool, padding: int
) -> None:
    expected = np.where(DEPTH > 0, DEPTH, np.nan)
    given = message(encoding, big=big, padding=padding)
    np.testing.assert_allclose(read_depth(given), expected, rtol=1e-6)
    remove = np.array(((1, 0, 0), (0, 1, 0)), bool)
    left = filtered_depth(given, remove)
    given.data, given.step = left.tobytes(), left.shape[1]
    np.testing.assert_allclose(read_depth(given), np.where(remove, np.nan, expected), rtol=1e-6)


def test_other_encodings_and_short_data_are_refused() -> None:
    with pytest.raises(InputError, match="'rgb8' is no depth"):
        read_depth(dataclass_like(message('32FC1'), encoding='rgb8'))
    with pytest.raises(InputError, match='bytes of data'):
        read_depth(dataclass_like(message('32FC1'), data=b'12'))


def dataclass_like(given: Any, **changes: Any) -> Any:
    return SimpleNamespace(**(vars(given) | changes))


def test_points_project_back_onto_their_pixels() -> None:
    view = street_view(3, 5.0)
    points = DepthRays(view.lens).points(view.frame.depth)
    places, is_seen = view.lens.project(points)
    columns, rows = np.meshgrid(np.arange(640), np.arange(480))
    is_solid = np.isfinite(view.frame.depth).ravel()
    assert np.array_equal(is_seen, is_solid)
    np.testing.assert_allclose(places[is_solid, 0], columns.ravel()[is_solid], atol=1e-3)
    np.testing.assert_allclose(places[is_solid, 1], rows.ravel()[is_solid], atol=1e-3)
    bent = dataclasses.replace(view.lens, distortion=np.array((-0.2, 0.03, 0, 0, 0, 0, 0, 0.0)))
    places, _ = bent.project(DepthRays(bent).points(np.full((480, 640), 4.0, np.float32)))
    np.testing.assert_allclose(places[:, 0], columns.ravel(), atol=0.05)


def test_depth_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match='depth is of 2 x 3 px, its camera_info of 480 x 640 px'):
        DepthRays(street_view(3, 5.0).lens).points(DEPTH)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'distortion_model': 'equidistant', 'd': [1e10] * 4}, 'undistorts 0 %'),
        ({'d': [1e20] * 5}, 'undistorts 0 %'),
        ({'d': [-5.0, 0.0, 0.0, 0.0, 0.0]}, r'undistorts \d+ % .* distortion \[-5.0'),
        ({'k': [1e-6, 0.0, 319.5, 0.0, 1e-6, 239.5, 0.0, 0.0, 1.0]}, 'focal length 1e-06 px'),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(changes: dict[str, Any], told: str) -> None:
    info = dataclass_like(street_info(street_view(3, 5.0).frame), **changes)
    with pytest.raises(LensError, match=told):
        DepthRays(lens_of(info, 480, 640))


def test_corners_that_a_fisheye_does_not_fill_have_no_points() -> None:
    k = [200.0, 0.0, 319.5, 0.0, 200.0, 239.5, 0.0, 0.0, 1.0]
    changes = {'distortion_model': 'equidistant', 'd': [0.01, 0.0, 0.0, 0.0], 'k': k}
    lens = lens_of(dataclass_like(street_info(street_view(3, 5.0).frame), **changes), 480, 640)
    points = DepthRays(lens).points(np.full((480, 640), 2.0, np.float32))
    is_there = np.isfinite(points).all(1)
    assert 0.8 < is_there.mean() < 1
    columns, rows = np.meshgrid(np.arange(640), np.arange(480))
    places, _ = lens.project(points[is_there])
    np.testing.assert_allclose(places[:, 0], columns.ravel()[is_there], atol=1)
    np.testing.assert_allclose(places[:, 1], rows.ravel()[is_there], atol=1)
