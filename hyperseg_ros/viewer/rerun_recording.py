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


def write_recording(path: Path, frames: FileFrames, segmenter: Segmenter) -> int:
    """Segment all frames and write them; returns how many.

    Entities: `camera` with pictures, `camera/mask` and `camera/truth` with ids, whose names and
    colours are an annotation context, `camera/confidence` as a grey picture. Time lines:
    `frame` counts, `stamp` is the time of the source [s].

    Raises:
        ConfigError: If rerun is not installed, or the folder is missing.
        OSError: If the file cannot be written.
    """
    rerun = import_rerun()
    if not path.parent.is_dir():
        msg = f'--rrd {str(path)!r}: there is no folder {path.parent}; make it first.'
        raise ConfigError(msg)
    unfinished = path.with_name(f'.{path.name}.part')
    recording = rerun.RecordingStream('hyperseg_view', recording_id=frames.title)
    recording.save(unfinished)
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
        if frame.truth is not None:
            recording.log('camera/truth', rerun.SegmentationImage(frame.truth))
        count += 1
    recording.flush()
    recording.disconnect()
    unfinished.replace(path)
    return count
