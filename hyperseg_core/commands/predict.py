# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg predict`: segment an image, a folder, a video or a camera."""

from collections.abc import Iterator
import logging
from pathlib import Path
import time

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn

from hyperseg_core.data.samples import read_rgb
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.render import colourise
from hyperseg_core.render import overlay
from hyperseg_core.render import write_png

_logger = logging.getLogger(__name__)
_IMAGES = {'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'}
Frame = NDArray[np.uint8]


def predict_command(
    source: str,
    output: Path,
    checkpoint: str = 'default',
    engine: str = 'auto',
    device: str = 'auto',
    precision: str = 'auto',
    size: tuple[int, int] | None = None,
    confidence_threshold: float = 0.0,
    frames: int | None = None,
) -> int:
    """Segment images, a video or a camera; exit status 1 if any could not be read.

    Args:
        source: An image, a folder of images, a video file, or the index of a camera.
        output: Folder: ids/ (PNG of ids), colours/, overlays/, and overlay.mp4 for a video.
        checkpoint: File or name of a shipped checkpoint.
        engine: auto, tensorrt, onnxruntime, openvino or torch.
        device: auto, cpu, gpu (Intel), cuda or cuda:N.
        precision: auto, f32, bf16 or f16.
        size: Network input height and width [px]; by default it follows the images.
        confidence_threshold: Pixels with a lower probability become 255, 0 to 1.
        frames: Stop after this many.
    """
    segmenter = Segmenter(
        checkpoint, engine, device, precision, size, confidence_threshold=confidence_threshold
    )
    paths = _image_paths(Path(source))
    stream = _images(paths) if paths is not None else _video(source)
    for name in ('ids', 'colours', 'overlays'):
        (output / name).mkdir(parents=True, exist_ok=True)
    unread: list[str] = []
    writer: cv2.VideoWriter | None = None
    start_s, done = time.monotonic(), 0
    total = frames if frames is not None else len(paths) if paths is not None else None
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task('segmenting', total=total)
        for name, frame in stream:
            if frame is None:
                unread.append(name)
                continue
            found = segmenter(frame)
            shown = overlay(frame, found.class_ids, segmenter.label_set)
            write_png(output / 'ids' / f'{name}.png', found.class_ids)
            write_png(
                output / 'colours' / f'{name}.png', colourise(found.class_ids, segmenter.label_set)
            )
            write_png(output / 'overlays' / f'{name}.png', shown)
            if paths is None:
                writer = writer or _video_writer(output / 'overlay.mp4', shown)
                writer.write(np.ascontiguousarray(shown[..., ::-1]))
            done += 1
            rate = done / (time.monotonic() - start_s)
            progress.update(task, advance=1, description=f'{rate:.1f} frames/s')
            if frames is not None and done >= frames:
                break
    if writer is not None:
        writer.release()
    for name in unread:
        _logger.warning('Could not read %s.', name)
    _logger.info('Segmented %d frames on %s to %s.', done, segmenter.spec, output)
    return 1 if unread else 0


def _image_paths(source: Path) -> list[Path] | None:
    """Return the images of a folder or a single one; None where it is a video or a camera."""
    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix.lower() in _IMAGES)
        if not paths:
            msg = f'No image in {source}; known endings: {", ".join(sorted(_IMAGES))}.'
            raise InputError(msg)
        return paths
    return [source] if source.suffix.lower() in _IMAGES else None


def _images(paths: list[Path]) -> Iterator[tuple[str, Frame | None]]:
    for path in paths:
        try:
            yield path.stem, read_rgb(path)
        except InputError:
            yield str(path), None


def _video(source: str) -> Iterator[tuple[str, Frame | None]]:
    capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not capture.isOpened():
        msg = f'Cannot open {source!r}: no such video, or no such camera.'
        raise InputError(msg)
    try:
        index = 0
        while True:
            is_read, frame = capture.read()
            if not is_read:
                return
            yield f'{index:06d}', cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8)
            index += 1
    finally:
        capture.release()


def _video_writer(path: Path, frame: Frame, rate_hz: float = 30.0) -> cv2.VideoWriter:
    size = (frame.shape[1], frame.shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), rate_hz, size)
    if not writer.isOpened():
        msg = f'Cannot write the video {path}: this OpenCV has no mp4v encoder, or no room.'
        raise OSError(msg)
    return writer
