# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos: files and cameras read by OpenCV, and written at a rate of their own."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import RgbImage

_USUAL_HZ = 30.0
_MAX_DIGITS = 6
"""Of a camera's index."""


def is_utf8(name: str) -> bool:
    """Tell whether a file's name can be given to OpenCV, which dies of others."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class VideoReader:
    """The frames of a video file, or of a camera by its index; once, from the start."""

    def __init__(self, source: str) -> None:
        """Open it.

        Raises:
            InputError: If it is no video or there is no such camera.
        """
        self.is_camera = source.isascii() and source.isdigit() and len(source) <= _MAX_DIGITS
        self._source = source
        if not self.is_camera and not Path(source).is_file():
            msg = f'No video at {source!r}, nor a camera of that number.'
            raise InputError(msg)
        if not is_utf8(source):
            msg = f'The name of the video {source!r} is no UTF-8, which OpenCV needs; rename it.'
            raise InputError(msg)
        self._capture = cv2.VideoCapture(int(source) if self.is_camera else source)
        if not self._capture.isOpened():
            msg = f'Cannot open {source!r}: no video that this OpenCV reads, or no such camera.'
            raise InputError(msg)
        rate_hz = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate_hz = rate_hz if 0.1 <= rate_hz <= 1000 else _USUAL_HZ
        """Frames per second of the file; 30 where it does not say."""
        self.num_promised = (
            0 if self.is_camera else max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        )
        """Frames that the file says it has; 0 where it does not say."""
        self.num_read = 0

    def __iter__(self) -> Iterator[RgbImage]:
        """Read frames (H, W, 3), RGB, until the end."""
        while True:
            is_read, frame = self._capture.read()
            if not is_read:
                return
            self.num_read += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    @property
    def loss(self) -> str:
        """What is missing once all was read; '' where nothing is.

        Containers count a little more or less than there is, so a twentieth is no loss.
        """
        missing = self.num_promised - self.num_read
        if missing <= max(2, self.num_promised // 20):
            return ''
        return (
            f'{self._source} promises {self.num_promised} frames, {self.num_read} could be read: '
            f'it is cut off or damaged'
        )

    def close(self) -> None:
        """Let go of the file or the camera."""
        self._capture.release()

    def __enter__(self) -> 'VideoReader':
        """Return the reader."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


class VideoWriter:
    """Writes frames as MPEG-4, under a name of its own until it is whole."""

    def __init__(self, path: Path, rate_hz: float) -> None:
        """Take the file, ending in .mp4, and the frames per second."""
        self._path, self._rate_hz = path, rate_hz
        self._part = path.with_name(f'.{path.stem}.part{path.suffix}')
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def write(self, frame: RgbImage) -> None:
        """Add a frame (H, W, 3), RGB; another size than the first one's is brought to that.

        Raises:
            OSError: If the video cannot be written.
        """
        if self._writer is None:
            if not is_utf8(str(self._part)):
                msg = f'Cannot write {str(self._path)!r}: OpenCV needs a name that is UTF-8.'
                raise OSError(msg)
            self._size = (frame.shape[1], frame.shape[0])
            fourcc = cv2.VideoWriter.fourcc(*'mp4v')
            self._writer = cv2.VideoWriter(str(self._part), fourcc, self._rate_hz, self._size)
            if not self._writer.isOpened():
                msg = f'Cannot write {self._path}: OpenCV has no mp4v encoder, or no room.'
                raise OSError(msg)
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size).astype(np.uint8, copy=False)
        self._writer.write(np.ascontiguousarray(frame[..., ::-1]))

    def close(self) -> None:
        """Finish the file; without frames there is none."""
        if self._writer is not None:
            self._writer.release()
            self._part.replace(self._path)
            self._writer = None
