# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hyperseg_core.errors import InputError
from hyperseg_ros.messages.point_cloud import filtered_cloud
from hyperseg_ros.messages.point_cloud import read_structured
from hyperseg_ros.messages.point_cloud import read_xyz

XYZ = np.arange(24, dtype=np.float32).reshape(8, 3) / 4


def field(name: str, offset: int, datatype: int = 7, count: int = 1) -> SimpleNamespace:
    return SimpleNamespace(name=name, offset=offset, datatype=datatype, count=count)


def cloud(
    kind: np.dtype, fields: list[Any], *, padding: int = 0, big: bool = False, height: int = 2
) -> Any:
    values = np.zeros(8, kind.newbyteorder('>') if big else kind)
    for index, name in enumerate('xyz'):
        values[name] = XYZ[:, index]
    if 'intensity' in (kind.names or ()):
        values['intensity'] = np.arange(8)
    rows = values.view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=170)
    return SimpleNamespace(
        header='the header', height=height, width=8 // height, fields=fields, is_bigendian=big,
        point_step=kind.itemsize, row_step=rows.shape[1], is_dense=True, data=rows.tobytes(),
    )  # fmt: skip


PLAIN = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4')])
PLAIN_FIELDS = [field('x', 0), field('y', 4), field('z', 8)]
ODD = np.dtype(
    {'names': ['z', 'intensity', 'x', 'y'], 'formats': ['<f4', '<u2', '<f8', '<f4'],
     'offsets': [4, 10, 16, 24], 'itemsize': 36}
)  # fmt: skip
ODD_FIELDS = [field('z', 4), field('intensity', 10, 4), field('x', 16, 8), field('y', 24)]


@pytest.mark.parametrize('big', [False, True], ids=['little', 'big'])
@pytest.mark.parametrize('padding', [0, 5])
def test_points_are_read_whatever_their_fields_padding_and_bytes(padding: int, big: bool) -> None:
    for kind, fields in ((PLAIN, PLAIN_FIELDS), (ODD, ODD_FIELDS)):
        message = cloud(kind, fields, padding=padding, big=big)
        before = message.data
        np.testing.assert_array_equal(read_xyz(message), XYZ)
        assert message.data == before  # sensor_msgs_py turns the message's own bytes round
    assert read_structured(cloud(ODD, ODD_FIELDS))['intensity'].tolist() == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
    ]


def test_rows_are_rows_and_columns_are_columns() -> None:
    found = read_structured(cloud(PLAIN, PLAIN_FIELDS, padding=3))
    assert found.shape == (2, 4)
    assert found['x'][1, 0] == XYZ[4, 0]


def test_reading_is_that_of_sensor_msgs_py() -> None:
    theirs = pytest.importorskip('sensor_msgs_py.point_cloud2')
    messages = pytest.importorskip('sensor_msgs.msg')
    message = messages.PointCloud2()
    ours = cloud(ODD, ODD_FIELDS)
    for name in ('height', 'width', 'is_bigendian', 'point_step', 'row_step', 'is_dense'):
        setattr(message, name, getattr(ours, name))
    message.fields = [messages.PointField(**vars(item)) for item in ODD_FIELDS]
    message.data = ours.data
    expected = theirs.read_points(message)
    found = read_structured(message).reshape(-1)
    for name in ('x', 'y', 'z', 'intensity'):
        np.testing.assert_array_equal(found[name], expected[name])


def test_clouds_without_points_are_empty() -> None:
    message = cloud(PLAIN, PLAIN_FIELDS)
    message.height, message.width, message.data, message.row_step = 1, 0, b'', 0
    assert read_xyz(message).shape == (0, 3)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'data': b'123'}, 'has 3 bytes of data, expected'),
        ({'row_step': 7}, 'row_step 7'),
        ({'fields': PLAIN_FIELDS[:2]}, 'has no z; its fields: x, y'),
        ({'fields': []}, 'has no x, y, z; its fields: none'),
        ({'fields': [field('x', 0, 9)]}, "Field 'x' of a cloud has data type 9"),
        ({'fields': [field('x', 10)]}, 'ends at byte 14 of a point of 12 bytes'),
        ({'fields': [*PLAIN_FIELDS[:2], field('z', 0, 7, 2)]}, "'z' of the cloud holds 2 numbers"),
        ({'fields': [field('x', 0, 7, 2**31)]}, 'count 2147483648'),
        ({'height': 2**31, 'width': 2**31}, 'too large'),
        ({'point_step': 2**32 - 1}, 'has 4294967295 bytes a point'),
        ({'point_step': 2**32 - 1, 'height': 0}, 'has 4294967295 bytes a point'),
        ({'point_step': 2**32 - 1, 'fields': [field('x', 0, 7, 2**31)]}, 'bytes a point'),
        ({'point_step': 0}, "Field 'x' of a cloud has data type 7, count 1"),
    ],
)
def test_clouds_that_cannot_be_read_are_refused(changes: dict[str, Any], told: str) -> None:
    message = cloud(PLAIN, PLAIN_FIELDS)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match=told):
        read_xyz(message)


def test_a_filtered_cloud_keeps_all_bytes_of_what_it_keeps() -> None:
    message = cloud(ODD, ODD_FIELDS, padding=4, big=True)
    keep = np.array((1, 0, 0, 1, 0, 1, 0, 0), bool)
    found = filtered_cloud(message, keep, SimpleNamespace)
    assert (found.height, found.width, found.row_step, found.header) == (1, 3, 108, 'the header')
    assert read_structured(found)['intensity'].tolist() == [[0, 3, 5]]
    np.testing.assert_array_equal(read_xyz(found), XYZ[keep])
