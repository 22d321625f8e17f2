# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames by what a user names: an image, a folder of images, a video file or a camera's index."""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import RgbImage
from hyperseg_core.frames.images import images_in
from hyperseg_core.frames.images import is_image
from hyperseg_core.frames.images import names_that_differ
from hyperseg_core.frames.images import read_rgb
from hyperseg_core.frames.video import VideoReader


@dataclass(slots=True)
class FrameSource:
    """Named frames, read once from the start."""

    source: str
    num_frames: int | None
    """How many there are; None where that is not known before."""
    rate_hz: float | None
    """Frames per second of a video; None for images."""
    passed_over: list[Path] = field(default_factory=list)
    """Files of a folder that are no images."""
    problems: list[str] = field(default_factory=list)
    """What could not be read so far, for people."""
    _paths: list[Path] | None = None
    _video: VideoReader | None = None

    @property
    def files(self) -> list[Path]:
        """The files that frames are read from; none of a camera."""
        if self._paths is not None:
            return list(self._paths)
        return [] if self._video is None or self._video.is_camera else [Path(self.source)]

    def __iter__(self) -> Iterator[tuple[str, RgbImage]]:
        """Read a name, free of endings and different for each, and the frame (H, W, 3) RGB."""
        if self._paths is not None:
            for name, path in zip(names_that_differ(self._paths), self._paths, strict=True):
                try:
                    yield name, read_rgb(path)
                except InputError as error:
                    self.problems.append(str(error))
            return
        assert self._video is not None
        with self._video as video:
            for index, frame in enumerate(video):
                yield f'{index:06d}', frame
            if video.loss:
                self.problems.append(f'{video.loss}.')


def open_frames(source: str | Path) -> FrameSource:
    """Open an image, a folder, a video or a camera.

    Raises:
        InputError: If it is none of these, or a folder without images.
        FileNotFoundError: If a path is not there.
    """
    if not str(source):
        msg = 'No source is named; give an image, a folder, a video, or the index of a camera.'
        raise InputError(msg)
    path = Path(source)
    if path.is_dir():
        images, others = images_in(path)
        return FrameSource(str(source), len(images), None, passed_over=others, _paths=images)
    is_camera = str(source).isascii() and str(source).isdigit()
    if not is_camera and not path.exists():
        msg = f'No image, folder, video or camera called {str(source)!r}.'
        raise FileNotFoundError(msg)
    if is_image(path):
        return FrameSource(str(source), 1, None, _paths=[path])
    video = VideoReader(str(source))
    return FrameSource(str(source), video.num_promised or None, video.rate_hz, _video=video)
