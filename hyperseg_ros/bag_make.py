# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag make`: bags for tests, demos and bug reports, from images, video or `drive`."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.scene import DriveFrame
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.frames.images import read_rgb
from hyperseg_ros.bags import CAMERA_INFO
from hyperseg_ros.bags import COMPRESSED
from hyperseg_ros.bags import IMAGE
from hyperseg_ros.bags import BagWriter

_START_NS = 1_700_000_000_000_000_000
_IMAGES = {'.png', '.jpg', '.jpeg'}
Frame = NDArray[np.uint8]


def bag_make_command(
    out: Path,
    images: Path | None = None,
    video: Path | None = None,
    drive: float | None = None,
    rate: float = 30.0,
    topic: str = '/camera/image_raw',
    jpeg: bool = False,
    seed: int = 3_000_000,
    size: tuple[int, int] = (480, 640),
    storage: str = 'mcap',
) -> None:
    """Write a bag of images; the stamps start at a fixed time, so the bytes are the same.

    Args:
        out: The bag to write.
        images: A folder of images.
        video: A video file.
        drive: So many seconds of a rendered street, with camera_info and true labels.
        rate: Frames per second.
        topic: Topic of the images.
        jpeg: Write CompressedImage instead of Image.
        seed: Street of `drive`.
        size: Height and width of `drive` [px].
        storage: mcap or sqlite3.
    """
    if sum(choice is not None for choice in (images, video, drive)) != 1:
        msg = 'Give exactly one of --images, --video and --drive.'
        raise ConfigError(msg)
    if rate <= 0:
        msg = f'--rate is {rate}, but must be above 0 frames per second.'
        raise ConfigError(msg)
    if out.exists():
        msg = f'{out} is there already; give another name or delete it.'
        raise ConfigError(msg)
    writer = BagWriter(out, storage=storage)
    try:
        frames = _drive(drive, rate, seed, size) if drive is not None else _files(images, video)
        for index, (pixels, scene) in enumerate(frames):
            time_ns = _START_NS + round(index * 1e9 / rate)
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
    finally:
        writer.close()


def _drive(
    seconds: float, rate: float, seed: int, size: tuple[int, int]
) -> Iterator[tuple[Frame, DriveFrame | None]]:
    scene = DriveScene(seed, height=size[0], width=size[1])
    for index in range(round(seconds * rate)):
        frame = scene.frame(index / rate)
        yield frame.image, frame


def _files(images: Path | None, video: Path | None) -> Iterator[tuple[Frame, DriveFrame | None]]:
    if images is not None:
        paths = sorted(p for p in images.iterdir() if p.suffix.lower() in _IMAGES)
        if not paths:
            msg = f'No image in {images}.'
            raise InputError(msg)
        for path in paths:
            yield read_rgb(path), None
        return
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        msg = f'Cannot open the video {video}.'
        raise InputError(msg)
    try:
        while True:
            is_read, frame = capture.read()
            if not is_read:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8), None
    finally:
        capture.release()
