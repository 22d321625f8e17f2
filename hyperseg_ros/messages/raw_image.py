# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image to RGB, by its encoding.

Sizes in a message are checked against its data before memory is taken for them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import check_size
from hyperseg_ros.messages.foreign_encoding import foreign_to_rgb

RgbImage = NDArray[np.uint8]
DEPTH_ENCODINGS = frozenset({'16UC1', '16SC1', '32FC1', '64FC1'})
"""Distances, by REP 118; 16-bit ids too, in topics of labels. In no case colours."""


class ImageMessage(Protocol):
    """The fields of sensor_msgs/Image that are read."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an encoding lies in memory."""

    channels: int
    depth_bytes: int
    to_rgb: Callable[[NDArray[Any]], NDArray[Any]] | None
    """Turns (H, W) or (H, W, C) 8-bit values into RGB; None: they are RGB."""
    rows_per_line: float = 1.0
    """Rows of data per line of the image: 1.5 for planar YUV 4:2:0."""


def _convert(code: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda pixels: cv2.cvtColor(np.ascontiguousarray(pixels), code)


def _reverse(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., 2::-1]


def _drop_alpha(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., :3]


def _grey(pixels: NDArray[Any]) -> NDArray[Any]:
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2RGB)


# OpenCV names Bayer patterns by the second row's second pixel, ROS by the first row's first.
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2RGB,
    'bggr': cv2.COLOR_BayerRG2RGB,
    'gbrg': cv2.COLOR_BayerGR2RGB,
    'grbg': cv2.COLOR_BayerGB2RGB,
}
_LAYOUTS: dict[str, _Layout] = {
    'rgb8': _Layout(3, 1, None),
    'bgr8': _Layout(3, 1, _reverse),
    'rgba8': _Layout(4, 1, _drop_alpha),
    'bgra8': _Layout(4, 1, _reverse),
    'mono8': _Layout(1, 1, _grey),
    'mono16': _Layout(1, 2, _grey),
    'rgb16': _Layout(3, 2, None),
    'bgr16': _Layout(3, 2, _reverse),
    'rgba16': _Layout(4, 2, _drop_alpha),
    'bgra16': _Layout(4, 2, _reverse),
    '8UC1': _Layout(1, 1, _grey),
    '8UC3': _Layout(3, 1, _reverse),
    '8UC4': _Layout(4, 1, _reverse),
    'yuv422': _Layout(2, 1, _convert(cv2.COLOR_YUV2RGB_UYVY)),
    'uyvy': _Layout(2, 1, _convert(cv2.COLOR_YUV2RGB_UYVY)),
    'yuv422_yuy2': _Layout(2, 1, _convert(cv2.COLOR_YUV2RGB_YUY2)),
    'yuyv': _Layout(2, 1, _convert(cv2.COLOR_YUV2RGB_YUY2)),
    'nv12': _Layout(1, 1, _convert(cv2.COLOR_YUV2RGB_NV12), 1.5),
    'nv21': _Layout(1, 1, _convert(cv2.COLOR_YUV2RGB_NV21), 1.5),
}
for _pattern, _code in _BAYER.items():
    _LAYOUTS[f'bayer_{_pattern}8'] = _Layout(1, 1, _convert(_code))
    _LAYOUTS[f'bayer_{_pattern}16'] = _Layout(1, 2, _convert(_code))
ENCODINGS = tuple(sorted(_LAYOUTS))


def image_to_rgb(message: ImageMessage) -> RgbImage:
    """Read an Image message as (H, W, 3) uint8 RGB.

    8-bit colour is a view on the message's data; other encodings are converted. 8UC3 and 8UC4
    are taken as blue, green, red, which is OpenCV's order. What we do not know is left to
    cv_bridge, where that is installed.

    Raises:
        InputError: If the encoding is depth or unknown, the size is zero or absurd, or data are
            short.
    """
    encoding = message.encoding
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        return _without_layout(message)
    height, width = int(message.height), int(message.width)
    row_bytes = width * layout.channels * layout.depth_bytes
    pixels = image_rows(message, row_bytes, int(height * layout.rows_per_line))
    if layout.depth_bytes == 2:
        # Of 16 bits, the upper 8: which byte that is, is all that endianness means here.
        pixels = pixels[:, (0 if message.is_bigendian else 1) :: 2]
    if layout.channels > 1:
        pixels = pixels.reshape(len(pixels), width, layout.channels)
    return _to_rgb(pixels, encoding, layout)


def image_rows(message: ImageMessage, row_bytes: int, num_rows: int) -> NDArray[np.uint8]:
    """Return a view on the rows of an Image message's data, without their padding.

    Args:
        message: The message.
        row_bytes: Bytes of a row that are pixels.
        num_rows: Rows of data; more than the image's lines in planar encodings.

    Raises:
        InputError: If the size is zero or absurd, or step or data are too short for it.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    check_size(height, width)
    if step < row_bytes:
        msg = (
            f'Image of {height} x {width} px, {message.encoding}, has step {step} bytes, but a '
            f'row needs {row_bytes}.'
        )
        raise InputError(msg)
    data = np.frombuffer(message.data, np.uint8)
    needed = step * (num_rows - 1) + row_bytes
    if data.size < needed:
        msg = (
            f'Image of {height} x {width} px, {message.encoding}, step {step}, has '
            f'{data.size} bytes of data, expected at least {needed}.'
        )
        raise InputError(msg)
    return np.lib.stride_tricks.as_strided(data, (num_rows, row_bytes), (step, 1), writeable=False)


def mosaic_to_rgb(values: NDArray[Any], encoding: str) -> RgbImage:
    """Turn values (H, W) of one channel, 8 or 16 bits, into RGB by a Bayer or mono encoding.

    Raises:
        InputError: If the encoding has more channels, or the size does not fit it.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None or layout.channels != 1 or layout.rows_per_line != 1:
        msg = f'A picture of one channel cannot be {encoding!r}.'
        raise InputError(msg)
    pixels = values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)
    return _to_rgb(pixels, encoding, layout)


def _to_rgb(pixels: NDArray[np.uint8], encoding: str, layout: _Layout) -> RgbImage:
    if layout.to_rgb is None:
        return pixels
    try:
        return layout.to_rgb(pixels).astype(np.uint8, copy=False)
    except cv2.error as err:
        msg = f'Image of {pixels.shape[0]} x {pixels.shape[1]} px cannot be {encoding}: {err.err}.'
        raise InputError(msg) from err


def _without_layout(message: ImageMessage) -> RgbImage:
    if message.encoding in DEPTH_ENCODINGS:
        msg = f'Encoding {message.encoding!r} is depth or ids, not the colours of a camera.'
        raise InputError(msg)
    check_size(int(message.height), int(message.width))
    converted = foreign_to_rgb(message)
    if converted is None:
        msg = (
            f'Encoding {message.encoding[:80]!r} is not supported; known: {", ".join(ENCODINGS)}.'
        )
        raise InputError(msg)
    return converted
