# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag make`: bags for tests, demos and bug reports, from images, video or `drive`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.scene import DriveFrame
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.frames.sources import FrameSource
from hyperseg_core.frames.sources import open_frames
from hyperseg_ros.bags.types import CAMERA_INFO
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.bags.writer import new_bag
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import IMAGE

_logger = logging.getLogger(__name__)
_START_NS = 1_700_000_000_000_000_000
_RATE_HZ = 30.0
_MAX_RATE_HZ = 1000.0
_MAX_S = 86_400.0


@dataclass(frozen=True, slots=True)
class _Frame:
    """A picture, and what else is known of a rendered one."""

    pixels: NDArray[np.uint8]
    scene: DriveFrame | None = None


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
    """Write a bag of images; exit status 1 if some could not be read. What fails leaves nothing.

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
    if drive is not None and not drive <= _MAX_S:  # nor NaN
        msg = f'--drive is {drive}, but must be at most {_MAX_S:g} seconds.'
        raise ConfigError(msg)
    if rate is not None and not 0 < rate <= _MAX_RATE_HZ:
        msg = (
            f'--rate is {rate}, but must be above 0 and at most {_MAX_RATE_HZ} frames per second.'
        )
        raise ConfigError(msg)
    problems: list[str] = []
    with new_bag(out, storage=storage) as writer:
        if drive is not None:
            rate_hz = rate or _RATE_HZ
            frames = _rendered(drive, rate_hz, DriveScene(seed, height=size[0], width=size[1]))
        else:
            source = _open(images, video)
            rate_hz, problems = rate or source.rate_hz or _RATE_HZ, source.problems
            frames = (_Frame(pixels) for _, pixels in source)
        count = 0
        for count, frame in enumerate(frames, 1):
            _write(writer, frame, _START_NS + round((count - 1) * 1e9 / rate_hz), topic, jpeg=jpeg)
        if not count:
            lines = [f'There is no frame to write: {video or images or f"--drive {drive}"}.']
            raise InputError(' '.join(lines + problems[:3]))
    for problem in problems:
        _logger.warning('%s', problem)
    _logger.info('%d images at %.4g Hz written to %s.', count, rate_hz, out)
    return 1 if problems else 0


def _rendered(seconds: float, rate_hz: float, scene: DriveScene) -> Iterator[_Frame]:
    for index in range(round(seconds * rate_hz)):
        frame = scene.frame(index / rate_hz)
        yield _Frame(frame.image, frame)


def _open(images: Path | None, video: Path | None) -> FrameSource:
    """Open a folder or a video, and name what of a folder is passed over."""
    if images is not None and not images.is_dir():
        msg = f'{images} is no folder of images; for a video there is --video.'
        raise InputError(msg)
    path = images or video
    assert path is not None
    source = open_frames(path)
    endings = Counter(item.suffix.lower() for item in source.passed_over)
    if endings:
        listed = ', '.join(f'{n} {name or "without ending"}' for name, n in endings.items())
        _logger.warning('%s: files that are no images are left out: %s.', path, listed)
    return source


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
