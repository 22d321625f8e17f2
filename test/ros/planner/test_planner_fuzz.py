# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a message: an InputError or an answer, and nothing else."""

import contextlib
from types import SimpleNamespace
from typing import Any

import hypothesis
from hypothesis import strategies as st
import numpy as np

from hyperseg_core import load_labels
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.messages.point_cloud import filtered_cloud
from hyperseg_ros.messages.point_cloud import read_xyz
from hyperseg_ros.planner.depth import read_depth
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.painting import paint
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import matrix_of_pose
from hyperseg_ros.planner.pose import matrix_of_transform

SIZES = st.one_of(st.integers(0, 9), st.sampled_from((2**31, 2**32 - 1, 640, 480)))
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
STATES = state_table(load_labels('camvid'), ('drivable',))
FUZZ = hypothesis.settings(max_examples=150, deadline=None)


@FUZZ
@hypothesis.given(
    st.lists(
        st.builds(
            SimpleNamespace, name=st.sampled_from(('x', 'y', 'z', '', 'é')),
            offset=st.integers(0, 40), datatype=st.integers(0, 12),
            count=st.one_of(st.integers(0, 3), st.just(2**31)),
        ), max_size=5,
    ),
    SIZES, SIZES, st.one_of(st.integers(0, 48), st.sampled_from((2**31, 2**32 - 1))), SIZES,
    st.booleans(), st.binary(max_size=600),
)  # fmt: skip
def test_clouds(
    fields: list[Any], height: int, width: int, step: int, row_step: int, big: bool, data: bytes
) -> None:
    message = SimpleNamespace(
        fields=fields, height=height, width=width, point_step=step, row_step=row_step,
        is_bigendian=big, is_dense=True, data=data, header=None,
    )  # fmt: skip
    with contextlib.suppress(InputError):
        points = read_xyz(message)
        assert points.shape == (height * width, 3)
        lens = lens_of(info(), 48, 64)
        mask = np.zeros((48, 64), np.uint8)
        found = paint(points, np.eye(4), lens, mask, None, PaintRules())
        if len(points):
            filtered_cloud(message, found.class_ids == 255, SimpleNamespace)


@FUZZ
@hypothesis.given(
    st.sampled_from(('16UC1', '32FC1', 'rgb8', '')), SIZES, SIZES, SIZES, st.integers(0, 255),
    st.binary(max_size=400),
)  # fmt: skip
def test_depths(encoding: str, height: int, width: int, step: int, big: int, data: bytes) -> None:
    message = SimpleNamespace(
        encoding=encoding, height=height, width=width, step=step, is_bigendian=big, data=data
    )
    with contextlib.suppress(InputError):
        depth = read_depth(message)
        assert not (depth <= 0).any()


def info(**changes: Any) -> SimpleNamespace:
    k = np.array((50.0, 0, 31.5, 0, 50.0, 15.5, 0, 0, 1))
    region = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)
    fields = {
        'height': 48, 'width': 64, 'distortion_model': 'plumb_bob', 'd': np.zeros(5), 'k': k,
        'p': np.insert(k, (3, 6, 9), 0.0), 'roi': region, 'binning_x': 0, 'binning_y': 0,
    }  # fmt: skip
    return SimpleNamespace(**(fields | changes))


@FUZZ
@hypothesis.given(
    st.lists(NUMBERS, min_size=9, max_size=9), st.lists(NUMBERS, max_size=14),
    st.sampled_from(('plumb_bob', 'rational_polynomial', 'equidistant', '', 'x')), st.booleans(),
)  # fmt: skip
def test_lenses(k: list[float], d: list[float], model: str, keeps_k: bool) -> None:
    changes = {'d': np.array(d), 'distortion_model': model} | (
        {} if keeps_k else {'k': np.array(k)}
    )
    layout = GroundLayout(range_max_m=5.0, resolution_m=0.2, max_pixel_share=0.5)
    pose = matrix_of_pose((0, 0, 1.5, 0, 0.2, 0)) @ BODY_FROM_OPTICAL
    with contextlib.suppress(InputError, ConfigError):
        table = build_table(lens_of(info(**changes), 48, 64), pose, layout)
        mask = np.full((48, 64), 3, np.uint8)
        found = read_ground(table, mask, STATES)
        assert found.ranges_m.shape == (layout.num_rays,)


@FUZZ
@hypothesis.given(st.lists(NUMBERS, min_size=7, max_size=7))
def test_transforms(numbers: list[float]) -> None:
    x, y, z, qx, qy, qz, qw = numbers
    transform = SimpleNamespace(
        translation=SimpleNamespace(x=x, y=y, z=z),
        rotation=SimpleNamespace(x=qx, y=qy, z=qz, w=qw),
    )
    with contextlib.suppress(InputError):
        assert np.isfinite(matrix_of_transform(transform)).all()


@FUZZ
@hypothesis.given(
    st.lists(
        st.one_of(st.floats(-5, 5), st.sampled_from((0.0, 1.5707963, 3.1415926, 1e9, -1e300))),
        min_size=6, max_size=6,
    ),
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
)  # fmt: skip
def test_poses_and_planes(pose: list[float], plane: list[float]) -> None:
    nx, ny, nz, distance = plane
    layout = GroundLayout(
        range_max_m=5.0, resolution_m=0.2, max_pixel_share=0.5, plane=(nx, ny, nz, distance)
    )
    with contextlib.suppress(ConfigError):
        layout.check()
        matrix = matrix_of_pose(pose) @ BODY_FROM_OPTICAL
        table = build_table(lens_of(info(), 48, 64), matrix, layout)
        mask = np.full((48, 64), 3, np.uint8)
        mask[:, 30:34] = 8
        found = read_ground(table, mask, STATES)
        assert found.occupancy.shape == layout.grid_shape
