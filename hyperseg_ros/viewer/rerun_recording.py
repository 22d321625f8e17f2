# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view SOURCE --rrd OUT`: what was segmented, as a recording for rerun's viewer."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.labels import IGNORE_ID
from hyperseg_ros.viewer.file_frames import FileFrames
from hyperseg_ros.viewer.file_frames import known_truth

_QUALITY = 80
_UNLABELLED = (0, 0, 0, 0)


def import_rerun() -> Any:
    """Import rerun.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import rerun
    except ImportError as err:
        msg = "--rrd needs rerun: `pip install 'hyperseg_ros[rerun]'`."
        raise ConfigError(msg) from err
    return rerun


def check_recording_path(path: Path) -> None:
    """Check before long work that a recording can be written.

    Raises:
        ConfigError: If there is no folder for it, or one of its name.
    """
    if not path.parent.is_dir():
        msg = f'--rrd {str(path)!r}: there is no folder {path.parent}; make it first.'
        raise ConfigError(msg)
    if path.is_dir():
        msg = f'--rrd {str(path)!r} is a folder, expected a file; add a name.'
        raise ConfigError(msg)


def write_recording(path: Path, frames: FileFrames, segmenter: Segmenter) -> int:
    """Segment all frames and write them; returns how many.

    Entities: `camera` with pictures, `camera/mask` and `camera/truth` with ids, whose names and
    colours are an annotation context, `camera/confidence` as a grey picture. Time lines:
    `frame` counts, `stamp` is the time of the source [s].

    Raises:
        ConfigError: If rerun is not installed, or the path is none for a file.
        OSError: If the file cannot be written.
    """
    rerun = import_rerun()
    check_recording_path(path)
    unfinished = path.with_name(f'.{path.name}.part')
    recording = rerun.RecordingStream('hyperseg_view', recording_id=frames.title)
    try:
        try:
            recording.save(unfinished)
        except RuntimeError as err:  # what rerun makes of an OSError
            raise OSError(str(err)) from err
        try:
            count = _write(rerun, recording, frames, segmenter)
            recording.flush()
        finally:
            recording.disconnect()
        unfinished.replace(path)
    finally:  # also where it is interrupted: nobody looks for what is left
        unfinished.unlink(missing_ok=True)
    return count


def _write(rerun: Any, recording: Any, frames: FileFrames, segmenter: Segmenter) -> int:
    labels = segmenter.label_set
    described = [
        rerun.AnnotationInfo(id=index, label=item.name, color=item.colour)
        for index, item in enumerate(labels.classes)
    ]
    described.append(rerun.AnnotationInfo(id=IGNORE_ID, label='unlabelled', color=_UNLABELLED))
    recording.log('camera', rerun.AnnotationContext(described), static=True)
    count = 0
    for frame in track(frames, description='segmenting', total=frames.total):
        answer = segmenter(frame.pixels)
        recording.set_time('frame', sequence=count)
        recording.set_time('stamp', duration=frame.stamp[0] + 1e-9 * frame.stamp[1])
        picture = rerun.Image(np.ascontiguousarray(frame.pixels))
        recording.log('camera', picture.compress(jpeg_quality=_QUALITY))
        recording.log('camera/mask', rerun.SegmentationImage(answer.class_ids))
        recording.log('camera/confidence', rerun.Image(answer.confidence))
        truth = known_truth(frame, len(labels))
        if truth is not None:
            recording.log('camera/truth', rerun.SegmentationImage(truth))
        count += 1
    return count
