# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `hyperseg view SOURCE` shows: frames of a folder, a video or a bag, with truth if given."""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.data.pairs import read_ids as read_id_file
from hyperseg_core.errors import InputError
from hyperseg_core.frames.sources import open_frames
from hyperseg_core.labels import IGNORE_ID
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.files import ENDINGS
from hyperseg_ros.bags.files import bag_files
from hyperseg_ros.bags.mask_stream import stamp_ns
from hyperseg_ros.bags.metadata import METADATA
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.topics import image_topics
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.mask import read_ids
from hyperseg_ros.viewer.pairing import Stamp

_IMAGES_HZ = 5.0
"""Images of a folder are shown at this rate."""
_MAX_WAITING = 64
"""Pictures or labels of a bag that wait for their counterparts."""
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileFrame:
    """One picture of a source."""

    name: str
    stamp: Stamp
    pixels: NDArray[np.uint8]
    """(H, W, 3), RGB."""
    truth: NDArray[np.uint8] | None
    """(H, W) ids, 255 = unlabelled; None where there is none."""


@dataclass(slots=True)
class FileFrames:
    """The frames of a source, read once from the start."""

    title: str
    rate_hz: float
    total: int | None
    """How many there are; None where that is not known before."""
    read: Callable[['FileFrames'], Iterator[FileFrame]]
    problems: list[str] = field(default_factory=list)
    """What could not be read so far, for people."""

    def __iter__(self) -> Iterator[FileFrame]:
        """Read them."""
        return self.read(self)


def known_truth(frame: FileFrame, num_classes: int) -> NDArray[np.uint8] | None:
    """Return a frame's labels; ids that no class has, as CamVid's void, are unlabelled."""
    if frame.truth is None:
        return None
    return np.where(frame.truth < num_classes, frame.truth, np.uint8(IGNORE_ID))


def is_bag(path: Path) -> bool:
    """Tell whether a path is a bag, by its name or what its folder holds."""
    if path.is_dir():
        return (path / METADATA).is_file() or bool(bag_files(path))
    return path.name.lower().endswith(ENDINGS)


def open_files(source: str, topic: str | None, truth: str | None) -> FileFrames:
    """Open what a user names.

    Args:
        source: An image, a folder of images, a video or a bag.
        topic: The bag's topic with the pictures; None where it has one camera only.
        truth: Folder of pictures of ids that are named as the images are; of a bag, a topic.

    Raises:
        InputError: If it is none of these, or topic or truth do not fit it.
        FileNotFoundError: If a path is not there.
    """
    path = Path(source)
    if is_bag(path):
        return _bag(path, topic, truth)
    if topic is not None:
        msg = f'--topic {topic!r} is for bags, and {source!r} is none; leave it out.'
        raise InputError(msg)
    if source.isdigit() and not path.exists():
        msg = f'{source!r} is a camera: start it as a node, and `hyperseg view` without a source.'
        raise InputError(msg)
    frames = open_frames(source)
    folder = None if truth is None else Path(truth)
    if folder is not None and not folder.is_dir():
        msg = f'--truth {truth!r} is no folder; give one with a picture of ids for each image.'
        raise InputError(msg)
    rate_hz = frames.rate_hz or _IMAGES_HZ

    def read(shown: FileFrames) -> Iterator[FileFrame]:
        for index, (name, pixels) in enumerate(frames):
            labels = None if folder is None else _truth_of(folder, name, pixels, shown)
            yield FileFrame(name, divmod(round(index / rate_hz * _NS), _NS), pixels, labels)
            shown.problems[:] = dict.fromkeys([*shown.problems, *frames.problems])
        shown.problems[:] = dict.fromkeys([*shown.problems, *frames.problems])

    return FileFrames(path.name or source, rate_hz, frames.num_frames, read)


def _truth_of(
    folder: Path, name: str, pixels: NDArray[np.uint8], shown: FileFrames
) -> NDArray[np.uint8] | None:
    path = folder / f'{name}.png'
    try:
        ids = read_id_file(path)
    except (InputError, OSError) as error:
        shown.problems.append(str(error))
        return None
    return _fitting(ids, pixels, f'{path}', shown)


def _fitting(
    ids: NDArray[np.uint8], pixels: NDArray[np.uint8], name: str, shown: FileFrames
) -> NDArray[np.uint8] | None:
    """Return labels of the picture's size; others are no truth of it."""
    if ids.shape == pixels.shape[:2]:
        return ids
    shown.problems.append(
        f'{name} has {ids.shape[0]} x {ids.shape[1]} px, its picture {pixels.shape[0]} x '
        f'{pixels.shape[1]}; it is left out.'
    )
    return None


def _bag(path: Path, topic: str | None, truth: str | None) -> FileFrames:
    with open_bag(path) as reader:
        chosen = image_topics(reader, None if topic is None else [topic]).chosen
        topics = sorted({item.topic for item in chosen})
        if len(topics) > 1:
            msg = f'{path} has {len(topics)} cameras; choose one: --topic {" or ".join(topics)}.'
            raise InputError(msg)
        if truth is not None:
            image_topics(reader, [truth])
        stamps = [stamp for _, stamp in _stamped(reader.messages(chosen), [])]
    camera = topics[0]
    span_s = (max(stamps) - min(stamps)) / _NS if stamps else 0.0
    rate_hz = min(max((len(stamps) - 1) / span_s, 0.5), 60.0) if span_s > 0 else _IMAGES_HZ

    def read(shown: FileFrames) -> Iterator[FileFrame]:
        with open_bag(path) as bag:
            wanted = [item for item in bag.connections if item.topic in {camera, truth}]
            yield from _paired(
                _stamped(bag.messages(wanted), shown.problems), camera, truth, shown
            )
            shown.problems += bag.problems

    return FileFrames(f'{path.name} {camera}', rate_hz, len(stamps), read)


def _stamped(
    messages: Iterator[RawMessage], problems: list[str]
) -> Iterator[tuple[RawMessage, int]]:
    for message in messages:
        try:
            yield message, stamp_ns(message)
        except InputError as error:
            problems.append(f'{message.connection.topic} at {message.time_ns} ns: {error}')


def _paired(
    messages: Iterator[tuple[RawMessage, int]],
    camera: str,
    truth: str | None,
    shown: FileFrames,
) -> Iterator[FileFrame]:
    """Put pictures and labels of one stamp together; a picture without any goes alone."""
    types, decoder = MessageTypes(), ImageDecoder()
    pictures: dict[int, NDArray[np.uint8]] = {}
    labels: dict[int, NDArray[np.uint8]] = {}

    def frame(stamp: int) -> FileFrame:
        pixels, ids = pictures.pop(stamp), labels.pop(stamp, None)
        if ids is not None:
            ids = _fitting(ids, pixels, f'{truth} at {stamp} ns', shown)
        return FileFrame(str(stamp), divmod(stamp, _NS), pixels, ids)

    for message, stamp in messages:
        try:
            content = types.deserialize(message)
            if message.connection.topic == camera:
                pictures[stamp] = decoder.to_rgb(content)
            else:
                labels[stamp] = np.clip(read_ids(content), 0, 255).astype(np.uint8)
        except InputError as error:
            shown.problems.append(f'{message.connection.topic} at {stamp} ns: {error}')
            continue
        while pictures and (
            truth is None or next(iter(pictures)) in labels or len(pictures) > _MAX_WAITING
        ):
            yield frame(next(iter(pictures)))
        while len(labels) > _MAX_WAITING:
            del labels[next(iter(labels))]
    for stamp in list(pictures):
        yield frame(stamp)
