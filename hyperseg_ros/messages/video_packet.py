# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Packets of H.264, HEVC and other videos to RGB, with PyAV."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import DEFAULT_LIMITS
from hyperseg_core.frames.compressed import check_size

INSTALL = "pip install 'hyperseg_ros[video]'"
_CODECS = {
    'h264': ('264', 'avc'), 'hevc': ('265', 'hevc'), 'av1': ('av1',), 'vp9': ('vp9',),
    'vp8': ('vp8',), 'mjpeg': ('mjpeg',), 'mpeg4': ('mpeg4',),
}  # fmt: skip


def is_video_installed() -> bool:
    """Tell whether PyAV can be imported."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def video_codec(text: str) -> str:
    """Return FFmpeg's name of the codec that a message names, as `libx264` or `h264;yuv420p`.

    Raises:
        InputError: If it is none that we know.
    """
    name = text.partition(';')[0].lower()
    for codec, parts in _CODECS.items():
        if any(part in name for part in parts):
            return codec
    msg = f'{text[:80]!r} names no video codec; known: {", ".join(_CODECS)}.'
    raise InputError(msg)


class VideoDecoder:
    """Decodes the packets of one stream, in their order, one picture for each."""

    def __init__(self, codec: str) -> None:
        """Open the codec.

        Raises:
            InputError: If PyAV is not installed, or does not know the codec.
        """
        try:
            import av
        except ImportError as err:
            msg = f'{codec} is a video, which needs PyAV: {INSTALL}.'
            raise InputError(msg) from err
        self._av: Any = av
        self.codec = codec
        self._has_begun = False
        # Messages of one frame each: no waiting for later ones, and bounded sizes.
        options = {'max_pixels': str(DEFAULT_LIMITS.max_pixels), 'flags': 'low_delay'}
        try:
            self._context: Any = av.CodecContext.create(codec, 'r')
            self._context.options = options
            self._context.thread_count = 1
        except Exception as err:  # FFmpeg's errors are many classes
            msg = f'PyAV cannot decode {codec}: {err}.'
            raise InputError(msg) from err

    def decode(self, data: Any) -> NDArray[np.uint8]:
        """Decode a packet to (H, W, 3) uint8 RGB.

        Raises:
            InputError: If it gives no picture: damaged, or before the first key frame.
        """
        packet = bytes(memoryview(data).cast('B'))
        problem = 'it gives no picture'
        try:
            frames = self._context.decode(self._av.Packet(packet)) if packet else []
            for frame in frames:
                check_size(frame.height, frame.width)
            pictures = [frame.to_ndarray(format='rgb24') for frame in frames[-1:]]
        except InputError:
            raise
        except Exception as err:  # FFmpeg's errors are many classes
            pictures, problem = [], str(err)
        if not pictures:
            wait = '' if self._has_begun else '; a video begins with its first key frame'
            msg = f'{self.codec} packet of {len(packet)} bytes cannot be decoded: {problem}{wait}.'
            raise InputError(msg)
        self._has_begun = True
        return pictures[0].astype(np.uint8, copy=False)
