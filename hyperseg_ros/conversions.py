# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs images to NumPy and back: one function per direction, chosen by encoding.

Sizes in a message are checked against its data before memory is taken for them. Nothing here
imports ROS: anything with the fields of sensor_msgs/Image or CompressedImage will do, so bags
are read where no ROS is.
"""

import array
from collections.abc import Callable
from dataclasses import dataclass
import io
from typing import Any
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError

Image = NDArray[np.uint8]
MAX_SIDE_PX = 16_384
MAX_PIXELS = 64_000_000
"""Larger images are refused: a decompression bomb must not take the memory of a robot."""


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


def image_to_rgb(message: ImageMessage) -> Image:
    """Read an Image message as (H, W, 3) uint8 RGB.

    8-bit colour is a view on the message's data; other encodings are converted. 8UC3 and 8UC4
    are taken as blue, green, red, which is OpenCV's order.

    Raises:
        InputError: If the encoding is unknown, the size is zero or absurd, or data are short.
    """
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        msg = f'Encoding {message.encoding!r} is not supported; known: {", ".join(ENCODINGS)}.'
        raise InputError(msg)
    height, width = int(message.height), int(message.width)
    check_size(height, width)
    row_bytes = width * layout.channels * layout.depth_bytes
    rows = int(height * layout.rows_per_line)
    step = int(message.step)
    if step < row_bytes:
        msg = (
            f'Image of {height} x {width} px, {message.encoding}, has step {step} bytes, but a '
            f'row needs {row_bytes}.'
        )
        raise InputError(msg)
    data = np.frombuffer(message.data, np.uint8)
    needed = step * (rows - 1) + row_bytes
    if data.size < needed:
        msg = (
            f'Image of {height} x {width} px, {message.encoding}, step {step}, has '
            f'{data.size} bytes of data, expected at least {needed}.'
        )
        raise InputError(msg)
    pixels = np.lib.stride_tricks.as_strided(data, (rows, row_bytes), (step, 1), writeable=False)
    if layout.depth_bytes == 2:
        # Of 16 bits, the upper 8: which byte that is, is all that endianness means here.
        pixels = pixels[:, (0 if message.is_bigendian else 1) :: 2]
    if layout.channels > 1:
        pixels = pixels.reshape(rows, width, layout.channels)
    if layout.to_rgb is None:
        return pixels
    try:
        return layout.to_rgb(pixels).astype(np.uint8, copy=False)
    except cv2.error as err:
        msg = f'Image of {height} x {width} px cannot be {message.encoding}: {err.err}.'
        raise InputError(msg) from err


def compressed_to_rgb(data: Any) -> Image:
    """Decode a JPEG or PNG, as CompressedImage carries it, to (H, W, 3) uint8 RGB.

    Raises:
        InputError: If it is neither, is cut off, or is larger than a camera's image can be.
    """
    from PIL import Image as PillowImage
    from PIL import UnidentifiedImageError

    view = memoryview(data).cast('B')
    try:
        with PillowImage.open(io.BytesIO(view), formats=('JPEG', 'PNG')) as header:
            width, height = header.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as err:
        msg = f'Compressed image of {len(view)} bytes is neither JPEG nor PNG, or is damaged.'
        raise InputError(msg) from err
    except PillowImage.DecompressionBombError as err:
        msg = f'Compressed image of {len(view)} bytes is refused: {err}.'
        raise InputError(msg) from err
    check_size(height, width)
    if (
        header.format == 'JPEG'
        and bytes(view[-2:]) != b'\xff\xd9'
        and b'\xff\xd9' not in bytes(view[-64:])
    ):
        msg = f'JPEG of {height} x {width} px is cut off after {len(view)} bytes.'
        raise InputError(msg)
    # Not IMREAD_COLOR_RGB: the OpenCV of Ubuntu 24.04 does not know it.
    # An orientation in a JPEG's header is not followed either: masks must match the camera_info.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(view, np.uint8), flags)
    if decoded is None or decoded.shape[:2] != (height, width):
        msg = f'{header.format} of {height} x {width} px cannot be decoded; it is damaged.'
        raise InputError(msg)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def check_size(height: int, width: int) -> None:
    """Check an image's size before memory is taken for it.

    Raises:
        InputError: If a side is zero or the image is absurdly large.
    """
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX):
        msg = f'Image is {height} x {width} px, expected sides of 1 to {MAX_SIDE_PX} px.'
        raise InputError(msg)
    if height * width > MAX_PIXELS:
        msg = f'Image is {height} x {width} px, more than the {MAX_PIXELS} px that are accepted.'
        raise InputError(msg)


def fill_image(message: Any, pixels: Image, encoding: str) -> Any:
    """Set the fields of an Image message, but its header, from (H, W) or (H, W, 3) uint8."""
    contiguous = np.ascontiguousarray(pixels)
    message.height, message.width = contiguous.shape[:2]
    message.encoding = encoding
    message.is_bigendian = 0
    message.step = contiguous.strides[0]
    # From an array.array rclpy takes the bytes as they are; from an ndarray, one by one (#763).
    data = array.array('B')
    data.frombytes(contiguous.data.cast('B'))
    message.data = data
    return message


def encode_png(pixels: Image) -> bytes:
    """Encode ids (H, W) losslessly; fast rather than small, always the same bytes."""
    is_encoded, data = cv2.imencode('.png', pixels, (cv2.IMWRITE_PNG_COMPRESSION, 1))
    assert is_encoded
    return data.tobytes()


def scaled_camera_info(info: Any, height: int, width: int) -> Any:
    """Return a copy of a CameraInfo for an image resized to (height, width) [px].

    Focal lengths and centres scale with the image; distortion and rotation do not (REP 104).
    """
    import copy

    scaled = copy.deepcopy(info)
    if not info.height or not info.width:
        return scaled
    x, y = width / info.width, height / info.height
    scaled.height, scaled.width = height, width
    k, p = np.array(info.k, np.float64).reshape(3, 3), np.array(info.p, np.float64).reshape(3, 4)
    for matrix in (k, p):
        matrix[0] *= x
        matrix[1] *= y
    scaled.k, scaled.p = k.flatten(), p.flatten()
    return scaled
