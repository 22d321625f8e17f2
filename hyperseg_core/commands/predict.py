# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg predict`: segment an image, a folder, a video or a camera."""

import logging
from pathlib import Path
import time

from rich.progress import BarColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn

from hyperseg_core.commands.options import Count
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.commands.options import Probability
from hyperseg_core.errors import ConfigError
from hyperseg_core.frames.compressed import RgbImage
from hyperseg_core.frames.sources import FrameSource
from hyperseg_core.frames.sources import open_frames
from hyperseg_core.frames.video import VideoWriter
from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.labels import LabelSet
from hyperseg_core.render import colourise
from hyperseg_core.render import overlay
from hyperseg_core.render import write_png

_logger = logging.getLogger(__name__)
_NAMED = 5
"""How many files that were passed over are named."""
_FOLDERS = ('ids', 'colours', 'overlays')
_VIDEO = 'overlay.mp4'


def predict_command(
    source: str,
    output: Path,
    *,
    checkpoint: str = 'default',
    engine: str = 'auto',
    device: Device = 'auto',
    precision: str = 'auto',
    size: ImageSize | None = None,
    confidence_threshold: Probability = 0.0,
    frames: Count | None = None,
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
    pictures = open_frames(source)
    for path in pictures.passed_over[:_NAMED]:
        _logger.warning('Skipped %s: no image by its ending.', path.name)
    if len(pictures.passed_over) > _NAMED:
        _logger.warning('Skipped %d more files.', len(pictures.passed_over) - _NAMED)
    _check_output(output, pictures)
    segmenter = Segmenter(
        checkpoint, engine, device, precision, size, confidence_threshold=confidence_threshold
    )
    results = _Results(output, segmenter.label_set, pictures.rate_hz)
    done = _segment_all(pictures, segmenter, results, frames)
    results.close()
    for problem in pictures.problems:
        _logger.warning('%s', problem)
    _logger.info('Segmented %d frames on %s to %s.', done, segmenter.spec, output)
    return 2 if not done else 1 if pictures.problems else 0


def _check_output(output: Path, pictures: FrameSource) -> None:
    """Refuse to write over what is read: `predict ids .`, `predict overlay.mp4 .`.

    Raises:
        ConfigError: If a file that is read lies where results go.
    """
    folders = {(output / name).resolve() for name in _FOLDERS}
    for path in pictures.files:
        places = {path.absolute().parent.resolve(), path.resolve().parent}
        if places & folders or path.resolve() == (output / _VIDEO).resolve():
            msg = (
                f'{path} lies where results are written ({", ".join(_FOLDERS)} and {_VIDEO} below '
                f'{output}) and could be overwritten; give another output.'
            )
            raise ConfigError(msg)


def _segment_all(
    pictures: FrameSource, segmenter: Segmenter, results: '_Results', limit: int | None
) -> int:
    start_s, done = time.monotonic(), 0
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task('segmenting', total=limit or pictures.num_frames)
        for name, frame in pictures:
            results.write(name, frame, segmenter(frame))
            done += 1
            rate = done / (time.monotonic() - start_s)
            progress.update(task, advance=1, description=f'{rate:.1f} frames/s')
            if done == limit:
                break
    return done


class _Results:
    """The folder of results."""

    def __init__(self, folder: Path, label_set: LabelSet, rate_hz: float | None) -> None:
        self._folder, self._label_set = folder, label_set
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._video = VideoWriter(folder / _VIDEO, rate_hz) if rate_hz else None

    def write(self, name: str, frame: RgbImage, found: Segmentation) -> None:
        shown = overlay(frame, found.class_ids, self._label_set)
        colours = colourise(found.class_ids, self._label_set)
        write_png(self._folder / 'ids' / f'{name}.png', found.class_ids)
        write_png(self._folder / 'colours' / f'{name}.png', colours)
        write_png(self._folder / 'overlays' / f'{name}.png', shown)
        if self._video is not None:
            self._video.write(shown)

    def close(self) -> None:
        if self._video is not None:
            self._video.close()
