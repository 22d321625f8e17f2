# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage to RGB: what its `format` says, and what its bytes are.

`format` is written as image_transport does: `ENCODING; CODEC compressed [ENCODING OF THE FILE]`,
such as `bayer_rggb8; png compressed ` or `rgb8; jpeg compressed bgr8`. Others write `jpeg` alone.
"""

from dataclasses import dataclass
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import decode_plain
from hyperseg_core.frames.compressed import decode_rgb
from hyperseg_core.frames.compressed import picture_form
from hyperseg_ros.messages.raw_image import DEPTH_ENCODINGS
from hyperseg_ros.messages.raw_image import mosaic_to_rgb

_CODECS = {
    'h264': 'h264', 'avc': 'h264', 'h265': 'hevc', 'hevc': 'hevc', 'av1': 'av1', 'vp8': 'vp8',
    'vp9': 'vp9', 'theora': 'theora',
}  # fmt: skip
_NOT_WORD = re.compile(r'[^a-z0-9]+')


@dataclass(frozen=True, slots=True)
class CompressedFormat:
    """What the `format` of a CompressedImage says."""

    encoding: str = ''
    """Of the image before it was compressed, where that is known."""
    file_encoding: str = ''
    """Order of channels that the file was written from, where that is known."""
    is_depth: bool = False
    video_codec: str = ''
    """FFmpeg's name of the codec, if the messages are packets of a video."""


def parse_format(text: str) -> CompressedFormat:
    """Read the `format` of a CompressedImage; what is not understood is left to the bytes."""
    encoding, separator, rest = text[:200].partition(';')
    encoding = encoding.strip() if separator else ''
    words = _NOT_WORD.sub(' ', (rest or text[:200]).lower()).split()
    is_depth = encoding in DEPTH_ENCODINGS or 'compresseddepth' in words
    video_codec = next((_CODECS[word] for word in words if word in _CODECS), '')
    file_encoding = words[-1] if len(words) > 1 and words[-2] == 'compressed' else ''
    return CompressedFormat(encoding, file_encoding, is_depth, video_codec)


def compressed_to_rgb(data: Any, text: str = '') -> NDArray[np.uint8]:
    """Decode the data of a CompressedImage to (H, W, 3) uint8 RGB.

    Args:
        data: A JPEG, PNG or TIFF, as anything with a buffer.
        text: The message's `format`.

    Raises:
        InputError: If it is depth, a packet of a video or no such picture, is cut off or
            damaged, or is larger than a camera's image can be.
    """
    told = parse_format(text)
    view = memoryview(data).cast('B')
    if told.is_depth:
        msg = f'Format {text[:80]!r} is depth or ids, not the colours of a camera.'
        raise InputError(msg)
    if told.video_codec and not picture_form(view):
        msg = f'Format {text[:80]!r} is a packet of a video, not a picture.'
        raise InputError(msg)
    if told.encoding.startswith('bayer_') and not told.file_encoding.startswith(('bgr', 'rgb')):
        values = decode_plain(view)
        if values.ndim == 2:
            return mosaic_to_rgb(values, told.encoding)
    pixels = decode_rgb(view)
    if told.file_encoding.startswith('rgb'):
        # Written from RGB by a writer that expects BGR: image_transport turns it back, too.
        return np.ascontiguousarray(pixels[..., ::-1])
    return pixels
