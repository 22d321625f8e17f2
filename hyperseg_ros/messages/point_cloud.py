# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/PointCloud2 <-> arrays: any field order, padding and byte order, at most one copy.

`sensor_msgs_py` takes rows without padding only, swaps height and width of organised clouds and
turns the bytes of a big-endian message round in place; here they are read as they lie.
"""

import array
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError

_KINDS = ('', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'f4', 'f8')
"""NumPy's names of PointField's data types, by number."""
_MAX_POINTS = 20_000_000
_MAX_POINT_BYTES = 1 << 20
"""NumPy's types end at 2 GiB, and no sensor's point is a thousandth of this."""
Points = NDArray[np.float32]


def read_structured(message: Any) -> NDArray[np.void]:
    """Return a view (height, width) on a PointCloud2's points, with its fields by name.

    Fields of several numbers are arrays; names that come twice or are empty are left out.

    Raises:
        InputError: If sizes, steps or fields cannot be, or data are short.
    """
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    row_step = int(message.row_step) or width * step
    if height * width > _MAX_POINTS:
        msg = f'A cloud of {height} x {width} points is too large.'
        raise InputError(msg)
    kind = _point_type(message)
    if not height * width:
        return np.empty((height, width), kind)
    data = np.frombuffer(message.data, np.uint8)
    needed = row_step * (height - 1) + width * step
    if row_step < width * step or data.size < needed:
        msg = (
            f'A cloud of {height} x {width} points, {step} bytes each, row_step {row_step}, has '
            f'{data.size} bytes of data, expected {max(needed, height * width * step)}.'
        )
        raise InputError(msg)
    return np.ndarray((height, width), kind, data.data, strides=(row_step, step))


def _point_type(message: Any) -> np.dtype[np.void]:
    step, order = int(message.point_step), '>' if message.is_bigendian else '<'
    if step > _MAX_POINT_BYTES:
        msg = (
            f'A cloud has {step} bytes a point (point_step), at most {_MAX_POINT_BYTES} are read.'
        )
        raise InputError(msg)
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    for item in message.fields:
        datatype, count, offset = int(item.datatype), int(item.count), int(item.offset)
        if not 0 < datatype < len(_KINDS) or not 0 <= count <= step:
            msg = f'Field {item.name[:80]!r} of a cloud has data type {datatype}, count {count}.'
            raise InputError(msg)
        count = count or 1  # written so by some drivers
        size = np.dtype(_KINDS[datatype]).itemsize * count
        if offset + size > step:
            msg = (
                f'Field {item.name[:80]!r} of a cloud ends at byte {offset + size} of a point of '
                f'{step} bytes.'
            )
            raise InputError(msg)
        if item.name and item.name not in names:
            names.append(item.name)
            formats.append((order + _KINDS[datatype], (count,) if count > 1 else ()))
            offsets.append(offset)
    return np.dtype({'names': names, 'formats': formats, 'offsets': offsets, 'itemsize': step})


def read_xyz(message: Any) -> Points:
    """Return the points (height * width, 3) of a PointCloud2 [m].

    Raises:
        InputError: If it has no x, y and z of one number each, or cannot be read.
    """
    cloud = read_structured(message).reshape(-1)
    missing = [name for name in 'xyz' if name not in (cloud.dtype.names or ())]
    if missing:
        known = ', '.join(item.name[:20] for item in message.fields[:20]) or 'none'
        msg = f'The cloud has no {", ".join(missing)}; its fields: {known}.'
        raise InputError(msg)
    points = np.empty((len(cloud), 3), np.float32)
    for index, name in enumerate('xyz'):
        if cloud[name].ndim != 1:
            msg = f'Field {name!r} of the cloud holds {cloud[name].shape[1]} numbers, expected 1.'
            raise InputError(msg)
        points[:, index] = cloud[name]
    return points


def fill_cloud(
    message: Any, points: NDArray[np.void], make_field: Callable[..., Any], *, is_dense: bool
) -> Any:
    """Set the fields of a PointCloud2, but its header.

    Args:
        message: The message.
        points: Structured, little-endian, (N,) or (height, width); its fields are the cloud's.
        make_field: Class of PointField.
        is_dense: Whether all points are finite.
    """
    height, width = points.shape if points.ndim == 2 else (1, len(points))
    kind = points.dtype
    message.height, message.width = height, width
    placed: Any = kind.fields or {}
    message.fields = [
        make_field(
            name=name,
            offset=placed[name][1],
            datatype=_KINDS.index(placed[name][0].str[1:]),
            count=1,
        )
        for name in kind.names or ()
    ]
    message.is_bigendian, message.is_dense = False, is_dense
    message.point_step, message.row_step = kind.itemsize, kind.itemsize * width
    message.data = as_bytes(points)
    return message


def filtered_cloud(message: Any, keep: NDArray[np.bool_], make_message: Callable[..., Any]) -> Any:
    """Return the cloud of the points (height * width,) to be kept, each with all its bytes."""
    height, width, step = int(message.height), int(message.width), int(message.point_step)
    row_step = int(message.row_step) or width * step
    data = np.frombuffer(message.data, np.uint8)
    rows = np.lib.stride_tricks.as_strided(
        data, (height, width, step), (row_step, step, 1), writeable=False
    )
    left = rows.reshape(-1, step)[keep]
    return make_message(
        header=message.header, height=1, width=len(left), fields=message.fields,
        is_bigendian=message.is_bigendian, is_dense=message.is_dense, point_step=step,
        row_step=step * len(left), data=as_bytes(left),
    )  # fmt: skip


def as_bytes(values: NDArray[Any]) -> 'array.array[int]':
    """Return an array's bytes as rclpy takes them without looking at each (rclpy #763)."""
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return data
