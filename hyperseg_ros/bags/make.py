# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag make`: bags for tests, demos and bug reports, from images, video or `drive`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
import logging
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.scene import DriveFrame
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.frames.images import read_rgb
from hyperseg_ros.bags.types import CAMERA_INFO
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.bags.writer import new_bag
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import IMAGE

_logger = logging.getLogger(__name__)
_START_NS = 1_700_000_000_000_000_000
_IMAGES = {'.png', '.jpg', '.jpeg'}
_RATE_HZ = 30.0
_MAX_RATE_HZ = 1000.0


@dataclass(frozen=True, slots=True)
class _Frame:
    """A picture, and what else is known of a rendered one."""

    pixels: NDArray[np.uint8]
    scene: DriveFrame | None = None


class _Source:
    """Frames, at their rate, and what was lost of them."""

    def __init__(self) -> None:
        self.rate_hz = _RATE_HZ
        self.problems: list[str] = []

    def frames(self) -> Iterator[_Frame]:
        """Give the frames."""
        raise NotImplementedError


class _Drive(_Source):
    def __init__(self, seconds: float, rate_hz: float, seed: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.rate_hz, self._count = rate_hz, round(seconds * rate_hz)
        self._scene = DriveScene(seed, height=size[0], width=size[1])

    def frames(self) -> Iterator[_Frame]:
        """Render the street."""
        for index in range(self._count):
            frame = self._scene.frame(index / self.rate_hz)
            yield _Frame(frame.image, frame)


class _Images(_Source):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        if not folder.is_dir():
            msg = f'{folder} is no folder of images; for a video there is --video.'
            raise InputError(msg)
        files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith('.')]
        self._paths = sorted(p for p in files if p.suffix.lower() in _IMAGES)
        others = Counter(p.suffix.lower() for p in files if p not in set(self._paths))
        listed = ', '.join(f'{n} {ending or "without ending"}' for ending, n in others.items())
        if not self._paths:
            msg = (
                f'No image ({", ".join(sorted(_IMAGES))}) in {folder}; it holds: {listed or "-"}.'
            )
            raise InputError(msg)
        if others:
            _logger.warning('%s: files that are no images are left out: %s.', folder, listed)

    def frames(self) -> Iterator[_Frame]:
        """Read the images in order of their names."""
        for path in self._paths:
            yield _Frame(read_rgb(path))


class _Video(_Source):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if not path.is_file():
            msg = f'No video at {path}.'
            raise FileNotFoundError(msg)
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            msg = f'Cannot open the video {path}.'
            raise InputError(msg)
        rate_hz = float(self._capture.get(cv2.CAP_PROP_FPS))
        if 0 < rate_hz <= _MAX_RATE_HZ:
            self.rate_hz = rate_hz

    def frames(self) -> Iterator[_Frame]:
        """Read the video to its end, which may come before the one that it tells."""
        told = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        count = 0
        try:
            while True:
                is_read, frame = self._capture.read()
                if not is_read:
                    break
                count += 1
                yield _Frame(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))
        finally:
            self._capture.release()
        # By rounding of its duration, some containers tell one frame too many.
        if math.isfinite(told) and count < told - 1:
            self.problems.append(
                f'{self._path} is cut off or damaged: {count} of its {told:.0f} frames were read.'
            )


def bag_make_command(
    out: Path,
    images: Path | None = None,
    video: Path | None = None,
    drive: float | None = None,
    rate: float | None = None,
    topic: str = '/camera/image_raw',
    jpeg: bool = False,
    seed: int = 3_000_000,
    size: tuple[int, int] = (480, 640),
    storage: str = 'mcap',
) -> int:
    """Write a bag of images; exit status 1 if a video was cut off. What fails leaves nothing.

    The stamps start at a fixed time, so the bytes are the same.

    Args:
        out: The bag to write.
        images: A folder of images.
        video: A video file.
        drive: So many seconds of a rendered street, with camera_info and true labels.
        rate: Frames per second; by default the video's own, else 30.
        topic: Topic of the images.
        jpeg: Write CompressedImage instead of Image.
        seed: Street of `drive`.
        size: Height and width of `drive` [px].
        storage: mcap or sqlite3.
    """
    if sum(choice is not None for choice in (images, video, drive)) != 1:
        msg = 'Give exactly one of --images, --video and --drive.'
        raise ConfigError(msg)
    if rate is not None and not 0 < rate <= _MAX_RATE_HZ:
        msg = (
            f'--rate is {rate}, but must be above 0 and at most {_MAX_RATE_HZ} frames per second.'
        )
        raise ConfigError(msg)
    with new_bag(out, storage=storage) as writer:
        source = _source(images, video, drive, rate or _RATE_HZ, seed, size)
        rate_hz = rate or source.rate_hz
        count = 0
        for count, frame in enumerate(source.frames(), 1):
            _write(writer, frame, _START_NS + round((count - 1) * 1e9 / rate_hz), topic, jpeg=jpeg)
        if not count:
            msg = f'There is no frame to write: {video or images or f"--drive {drive}"}.'
            raise InputError(msg)
    for problem in source.problems:
        _logger.warning('%s', problem)
    _logger.info('%d images at %.4g Hz written to %s.', count, rate_hz, out)
    return 1 if source.problems else 0


def _source(
    images: Path | None,
    video: Path | None,
    drive: float | None,
    rate_hz: float,
    seed: int,
    size: tuple[int, int],
) -> _Source:
    if images is not None:
        return _Images(images)
    if video is not None:
        return _Video(video)
    assert drive is not None
    return _Drive(drive, rate_hz, seed, size)


def _write(writer: BagWriter, frame: _Frame, time_ns: int, topic: str, *, jpeg: bool) -> None:
    pixels, scene = frame.pixels, frame.scene
    header = writer.header_at(time_ns, 'camera_optical_frame')
    if jpeg:
        _, data = cv2.imencode('.jpg', np.ascontiguousarray(pixels[..., ::-1]))
        message = writer.compressed(header, data.tobytes(), 'rgb8; jpeg compressed bgr8')
        writer.write(f'{topic}/compressed', COMPRESSED, time_ns, message)
    else:
        writer.write(topic, IMAGE, time_ns, writer.image(header, pixels, 'rgb8'))
    if scene is not None:
        camera = topic.rpartition('/')[0]
        info = writer.camera_info(header, scene.camera_matrix, *pixels.shape[:2])
        writer.write(f'{camera}/camera_info', CAMERA_INFO, time_ns, info)
        truth = writer.image(header, scene.labels, 'mono8')
        writer.write(f'{camera}/labels', IMAGE, time_ns, truth)
