# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG, PNG and TIFF: looked through as bytes before a decoder may take memory for them.

A decoder believes a file's sizes. What it would be told is read here first: a picture that is cut
off, damaged, or would unpack to more than the limits is refused at the cost of reading its bytes
once. The same is done for files, bags and topics.
"""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.frames.picture_headers import DEFAULT_LIMITS
from hyperseg_core.frames.picture_headers import PictureHeader
from hyperseg_core.frames.picture_headers import PictureLimits
from hyperseg_core.frames.picture_headers import check_size
from hyperseg_core.frames.picture_headers import picture_form
from hyperseg_core.frames.picture_headers import read_jpeg
from hyperseg_core.frames.picture_headers import read_png
from hyperseg_core.frames.picture_headers import read_tiff

__all__ = [
    'DEFAULT_LIMITS',
    'PictureHeader',
    'PictureLimits',
    'RgbImage',
    'check_size',
    'decode_plain',
    'decode_rgb',
    'picture_form',
    'read_header',
]

RgbImage = NDArray[np.uint8]


def read_header(data: bytes | memoryview, limits: PictureLimits = DEFAULT_LIMITS) -> PictureHeader:
    """Look through a picture's bytes without decoding it.

    Raises:
        InputError: If it is no JPEG, PNG or TIFF, is cut off or damaged, or exceeds a limit.
    """
    view = memoryview(data).cast('B')
    readers = {'png': read_png, 'jpeg': read_jpeg, 'tiff': read_tiff}
    form = picture_form(view)
    if form not in readers:
        what = f'{form}; read are JPEG, PNG and TIFF' if form else 'neither JPEG, PNG nor TIFF'
        msg = f'Compressed image of {len(view)} bytes is {what}.'
        raise InputError(msg)
    try:
        header = readers[form](view, limits)
    except (struct.error, IndexError) as err:
        msg = f'{form.upper()} is damaged or cut off after {len(view)} bytes.'
        raise InputError(msg) from err
    check_size(header.height, header.width, limits)
    unpacked = header.height * header.width * header.channels * header.bits // 8
    if unpacked > limits.max_ratio * header.num_bytes:
        msg = (
            f'{form.upper()} of {header.num_bytes} bytes says that it is {header.height} x '
            f'{header.width} px, more than {limits.max_ratio} times its bytes: it is damaged or a '
            f'decompression bomb.'
        )
        raise InputError(msg)
    return header


def decode_rgb(data: bytes | memoryview, limits: PictureLimits = DEFAULT_LIMITS) -> RgbImage:
    """Decode a JPEG, PNG or TIFF to (H, W, 3) uint8 RGB; of 16 bits, the upper 8.

    An orientation in a JPEG's header is not followed: masks must match the camera_info.

    Raises:
        InputError: If it is none of them, is cut off or damaged, or exceeds a limit.
    """
    # Not IMREAD_COLOR_RGB: the OpenCV of Ubuntu 24.04 does not know it.
    decoded = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, limits)
    if decoded.dtype != np.uint8:
        msg = f'Compressed image of {decoded.dtype} values holds no colours.'
        raise InputError(msg)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def decode_plain(
    data: bytes | memoryview, limits: PictureLimits = DEFAULT_LIMITS
) -> NDArray[np.generic]:
    """Decode a JPEG, PNG or TIFF to the values that are in it: ids, mosaics, depth.

    Returns:
        (H, W), or (H, W, C) in OpenCV's order of channels; the file's own type of values.

    Raises:
        InputError: If it is none of them, is cut off or damaged, or exceeds a limit.
    """
    return _decode(data, cv2.IMREAD_UNCHANGED, limits)


def _decode(data: bytes | memoryview, flags: int, limits: PictureLimits) -> NDArray[np.generic]:
    header = read_header(data, limits)
    whole = np.frombuffer(memoryview(data).cast('B')[: header.num_bytes], np.uint8)
    described = f'{header.form.upper()} of {header.height} x {header.width} px'
    try:
        decoded = cv2.imdecode(whole, flags)
    except cv2.error as err:
        msg = f'{described} cannot be decoded: {err.err}.'
        raise InputError(msg) from err
    if decoded is None or decoded.shape[:2] != (header.height, header.width):
        msg = f'{described} cannot be decoded; it is damaged.'
        raise InputError(msg)
    return decoded
