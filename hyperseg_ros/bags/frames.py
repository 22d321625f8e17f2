# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Some of a bag's pictures, decoded: every so many seconds, or those of certain stamps."""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.mask_stream import stamp_ns
from hyperseg_ros.bags.reader import BagReader
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import VIDEO_TYPES
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.decoding import codec_of

_EARLY_NS = 1_000_000
"""Stamps jitter: a frame this much before its time is taken for it."""
Wanted = Callable[[str, int], bool]
"""Tells of a topic and a stamp [ns] whether the frame is wanted; asked once for each, in order."""


@dataclass(frozen=True, slots=True)
class BagFrame:
    """A picture of a bag."""

    topic: str
    stamp_ns: int
    pixels: NDArray[np.uint8]
    """(H, W, 3) RGB."""


class EverySeconds:
    """Wants a frame every so many seconds of each topic, on a grid from its first stamp.

    Stamps need not rise: after a clock that is set back, or a first stamp that is wrong, the grid
    goes on to both sides.
    """

    def __init__(self, every_s: float) -> None:
        """Take the time between frames; 0 wants all."""
        self._every_ns = round(every_s * 1e9)
        self._first_ns: dict[str, int] = {}
        self._taken: set[tuple[str, int]] = set()

    def __call__(self, topic: str, stamp: int) -> bool:
        """See `Wanted`."""
        if not self._every_ns:
            return True
        first = self._first_ns.setdefault(topic, stamp)
        place = (topic, (stamp + _EARLY_NS - first) // self._every_ns)
        is_first_there = place not in self._taken
        self._taken.add(place)
        return is_first_there


def read_frames(
    reader: BagReader, connections: list[Connection], wanted: Wanted, problems: list[str]
) -> Iterator[BagFrame]:
    """Give a bag's wanted frames in order of their log time.

    Args:
        reader: An open bag.
        connections: Those with images.
        wanted: Which frames.
        problems: Gets a line for each frame that is lost, and for what the bag promises in vain.
    """
    types = MessageTypes()
    decoders = {item.id: ImageDecoder() for item in connections}
    seen: set[tuple[str, int]] = set()
    for message in reader.messages(connections):
        topic = message.connection.topic
        try:
            stamp = stamp_ns(message)
            is_wanted = wanted(topic, stamp)
            content = (
                types.deserialize(message)
                if is_wanted or _may_be_video(message.connection)
                else None
            )
            # Packets of a video are decoded all: each builds on those before.
            if content is None or not (is_wanted or codec_of(content)):
                continue
            pixels = decoders[message.connection.id].to_rgb(content)
            if is_wanted and (topic, stamp) in seen:
                msg = f'another frame has its stamp, {stamp} ns'
                raise InputError(msg)
        except Exception as error:  # whatever a damaged message provokes costs that one
            problems.append(f'{topic} at {message.time_ns} ns: {error}')
            continue
        if is_wanted:
            seen.add((topic, stamp))
            yield BagFrame(topic, stamp, pixels)
    problems += reader.problems
    problems += map(str, reader.gaps(connections))


def _may_be_video(connection: Connection) -> bool:
    return connection.msgtype in VIDEO_TYPES | {COMPRESSED}
