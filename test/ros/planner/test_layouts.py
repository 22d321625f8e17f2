# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import struct
from types import SimpleNamespace
import warnings

import numpy as np
import pytest

from hyperseg_core import load_labels
from hyperseg_core.errors import ConfigError
from hyperseg_ros.messages.point_cloud import fill_cloud
from hyperseg_ros.planner.layouts import AUTOWARE_CAMVID
from hyperseg_ros.planner.layouts import PointLayout
from hyperseg_ros.planner.layouts import class_table

CAMVID = load_labels('camvid')
POINTS = np.array(((1.5, -2.0, 0.25), (np.nan, 1, 1), (4, 5, 6)), np.float32)
IDS = np.array((3, 8, 255), np.uint8)
SURE = np.array((255, 128, 0), np.uint8)
UINT8, FLOAT32 = 2, 7
FIELDS = {
    # autoware_point_types' PointXYZCPE: names, offsets and types in this order, 24 bytes a point.
    'xyzcpe': [
        ('x', 0, FLOAT32), ('y', 4, FLOAT32), ('z', 8, FLOAT32), ('class_id', 12, UINT8),
        ('probability', 16, FLOAT32), ('entropy', 20, FLOAT32),
    ],
    # x, y, z and rgb as pcl::PointXYZRGB's messages have them.
    'xyzrgb_label': [
        ('x', 0, FLOAT32), ('y', 4, FLOAT32), ('z', 8, FLOAT32), ('rgb', 12, FLOAT32),
        ('label', 16, UINT8), ('confidence', 17, UINT8),
    ],
    'organised': [
        ('x', 0, FLOAT32), ('y', 4, FLOAT32), ('z', 8, FLOAT32), ('label', 12, UINT8),
        ('confidence', 13, UINT8),
    ],
}  # fmt: skip
STEPS = {'xyzcpe': 24, 'xyzrgb_label': 20, 'organised': 16}


def cloud(name: str, **options: object) -> SimpleNamespace:
    layout = PointLayout(name, CAMVID, **options)
    filled = layout.fill(POINTS, IDS, SURE)
    return fill_cloud(SimpleNamespace(), filled, SimpleNamespace, is_dense=layout.is_dense)


@pytest.mark.parametrize('name', FIELDS)
def test_fields_are_those_that_readers_ask_for(name: str) -> None:
    found = cloud(name)
    assert [(f.name, f.offset, f.datatype) for f in found.fields] == FIELDS[name]
    assert all(field.count == 1 for field in found.fields)
    assert found.point_step == STEPS[name]
    count = 3 if name == 'organised' else 2
    assert (found.height, found.width, found.row_step) == (1, count, count * STEPS[name])
    assert found.is_dense == (name != 'organised')
    assert found.is_bigendian is False
    assert len(found.data) == found.row_step


def test_xyzcpe_is_autowares_byte_for_byte() -> None:
    found = cloud('xyzcpe', class_map=AUTOWARE_CAMVID)
    p = np.float32(1.0), np.float32(0.0)
    expected = struct.pack('<fffB3xff', 1.5, -2.0, 0.25, 8, p[0], 0.0)
    expected += struct.pack('<fffB3xff', 4, 5, 6, 255, p[1], 0.0)
    assert bytes(found.data)[:20] == expected[:20]
    assert bytes(found.data)[24:44] == expected[24:44]
    entropies = np.frombuffer(bytes(found.data), '<f4').reshape(2, 6)[:, 5]
    np.testing.assert_allclose(entropies, 0, atol=1e-9)
    middle = PointLayout('xyzcpe', CAMVID).fill(POINTS[[0]], IDS[[0]], np.array((128,), np.uint8))
    assert middle['entropy'][0] == pytest.approx(np.log(2), abs=1e-4)  # a coin's
    assert middle['probability'][0] == pytest.approx(128 / 255)


def test_xyzrgb_label_is_coloured_as_pcl_packs_it() -> None:
    data = bytes(cloud('xyzrgb_label').data)
    # Road is 128, 64, 128; what has no class is black.
    assert data[:20] == struct.pack('<fff', 1.5, -2.0, 0.25) + bytes(
        (128, 64, 128, 0, 3, 255, 0, 0)
    )
    assert data[20:] == struct.pack('<fff', 4, 5, 6) + bytes((0, 0, 0, 0, 255, 0, 0, 0))


def test_organised_keeps_every_pixel_in_its_place() -> None:
    layout = PointLayout('organised', CAMVID)
    points = np.arange(36, dtype=np.float32).reshape(12, 3)
    points[5] = np.nan
    filled = layout.fill(points, np.zeros(12, np.uint8), np.zeros(12, np.uint8)).reshape(3, 4)
    found = fill_cloud(SimpleNamespace(), filled, SimpleNamespace, is_dense=False)
    assert (found.height, found.width, found.row_step) == (3, 4, 64)
    second_row = np.frombuffer(bytes(found.data), '<f4').reshape(3, 4, 4)[1]
    np.testing.assert_array_equal(second_row[:, :3], points[4:8])


def test_memory_is_used_again_and_fewer_points_leave_none_of_the_last() -> None:
    layout = PointLayout('xyzcpe', CAMVID)
    first = layout.fill(POINTS, IDS, SURE)
    second = layout.fill(POINTS[2:], IDS[2:], SURE[2:])
    assert len(second) == 1
    assert np.shares_memory(first, second)
    assert len(layout.fill(POINTS[:0], IDS[:0], SURE[:0])) == 0


def test_class_maps_name_classes_and_groups() -> None:
    table = class_table(CAMVID, ('vulnerable:5', 'car:0'))
    assert table[[8, 9, 10, 3, 255]].tolist() == [0, 5, 5, 255, 255]
    for entry, told in (
        ('car', "'car', expected NAME:ID"), ('car:x', 'NAME:ID'), ('car:256', 'NAME:ID'),
        ('cra:1', "No class or group 'cra'"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=told):
            class_table(CAMVID, (entry,))


def test_points_whose_sum_is_too_large_for_a_float_are_finite() -> None:
    points = np.array(((3e38, 3e38, 0), (np.inf, -np.inf, 0), (1, 2, 3)), np.float32)
    ids = np.array((1, 2, 3), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = PointLayout('xyzcpe', load_labels('camvid')).fill(points, ids, ids)
    assert found['class_id'].tolist() == [1, 3]
