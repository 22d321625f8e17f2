# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of a topic in order, and those of two topics paired by stamp, a few in memory at once."""

from collections import Counter
from collections.abc import Iterator
import contextlib
from pathlib import Path
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import CDR
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.reader import BagReader
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.topics import described
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.mask import ID_ENCODINGS
from hyperseg_ros.messages.mask import read_ids

_WAITING_BYTES = 256 << 20
Ids = NDArray[np.integer[Any]]


class MaskStream:
    """A topic's masks or true labels, from an open bag."""

    def __init__(self, bag: Path, reader: BagReader, topic: str) -> None:
        """Choose the topic, and read its stamps.

        Raises:
            InputError: If the topic has no images, no messages, or two with one stamp.
        """
        self.topic = topic
        self.problems: list[str] = []
        self._reader = reader
        self._types = MessageTypes()
        carriers = [
            c for c in reader.connections
            if c.msgtype in {IMAGE, COMPRESSED} and c.can_be_read
        ]  # fmt: skip
        self._chosen: list[Connection] = [c for c in carriers if c.topic == topic]
        if not self._chosen:
            names = ', '.join(sorted({c.topic for c in carriers}))
            names = names or f'none. It has: {described(reader)}'
            msg = f'{bag} has no images on {topic!r}; topics with images: {names}.'
            raise InputError(msg)
        self.stamps = self._read_stamps(bag)
        """Of all messages [ns], in the bag's order; each once."""

    def _read_stamps(self, bag: Path) -> list[int]:
        stamps = [stamp for stamp, _ in self._stamped()]
        if not stamps:
            msg = f'{bag} has no message on {self.topic!r} that can be read.'
            raise InputError(msg)
        ((most, times),) = Counter(stamps).most_common(1)
        if times > 1:
            msg = (
                f'{bag}: {len(stamps)} messages on {self.topic!r} have only {len(set(stamps))} '
                f'different stamps ({most} ns {times} times), so that they cannot be paired with '
                f'others.'
            )
            raise InputError(msg)
        return stamps

    def _stamped(self) -> Iterator[tuple[int, RawMessage]]:
        for message in self._reader.messages(self._chosen):
            try:
                yield stamp_ns(message), message
            except InputError as error:
                self._note(f'{self.topic} at {message.time_ns} ns: {error}')

    def messages(self, wanted: set[int]) -> Iterator[tuple[int, RawMessage]]:
        """Give the messages with some stamps, as they are."""
        return ((stamp, message) for stamp, message in self._stamped() if stamp in wanted)

    def ids(self, message: RawMessage) -> Ids | None:
        """Return a message's ids (H, W); None, and a problem, where it is damaged.

        Raises:
            InputError: If it holds no ids: its topic is none of masks.
        """
        try:
            content = self._types.deserialize(message)
        except InputError as error:
            self._note(f'{self.topic} at {message.time_ns} ns: {error}')
            return None
        if getattr(content, 'encoding', None):
            _check_encoding(content, self.topic)
        try:
            return read_ids(content)
        except InputError as error:
            self._note(f'{self.topic} at {message.time_ns} ns: {error}')
            return None

    def losses(self) -> list[str]:
        """Return what could not be read, a line each, after all was read."""
        gaps = [str(gap) for gap in self._reader.gaps(self._chosen)]
        return [*self.problems, *self._reader.problems, *gaps]

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def _check_encoding(content: Any, topic: str) -> None:
    """Refuse a topic whose encoding holds no ids.

    Raises:
        InputError: If so.
    """
    if content.encoding not in ID_ENCODINGS:
        msg = (
            f'{topic} is {content.encoding[:40]!r}, which holds no ids; those that do: '
            f'{", ".join(ID_ENCODINGS)}.'
        )
        raise InputError(msg)


def stamp_ns(message: RawMessage) -> int:
    """Return the stamp in a message's header [ns], without reading the rest of it.

    It follows the 4 bytes that say how CDR is written, in ROS 1 `seq`.

    Raises:
        InputError: If the message is too short to have one.
    """
    is_cdr = message.connection.encoding == CDR
    order = '>' if is_cdr and message.data[1:2] == b'\0' else '<'
    try:
        sec, nanosec = struct.unpack_from(f'{order}{"i" if is_cdr else "I"}I', message.data, 4)
    except struct.error as err:
        msg = f'{len(message.data)} bytes are no whole message'
        raise InputError(msg) from err
    return int(sec) * 10**9 + int(nanosec)


def paired(
    first: MaskStream, second: MaskStream, stamps: set[int]
) -> Iterator[tuple[int, Ids, Ids]]:
    """Give the ids of two topics that have the same stamps, in the order of the first.

    Raises:
        InputError: If their orders differ so much that too much would be held in memory.
    """
    waiting: dict[int, RawMessage] = {}
    num_bytes = 0
    others = second.messages(stamps)
    for stamp, message in first.messages(stamps):
        while stamp not in waiting:
            found = next(others, None)
            if found is None:
                break
            waiting[found[0]] = found[1]
            num_bytes += len(found[1].data)
            if num_bytes > _WAITING_BYTES:
                msg = (
                    f'{first.topic} and {second.topic} have their messages in different orders; '
                    f'{num_bytes} bytes wait for their partners.'
                )
                raise InputError(msg)
        other = waiting.pop(stamp, None)
        if other is None:
            continue
        num_bytes -= len(other.data)
        ids, other_ids = first.ids(message), second.ids(other)
        if ids is not None and other_ids is not None:
            yield stamp, ids, other_ids
    for _ in others:  # to the end, so that all is counted
        pass


@contextlib.contextmanager
def open_masks(bag: Path, topic: str) -> Iterator[MaskStream]:
    """Open a topic of a bag.

    Raises:
        InputError: If the bag cannot be opened, or the topic has no images with stamps.
        FileNotFoundError: If it is not there.
    """
    with open_bag(bag) as reader:
        yield MaskStream(bag, reader, topic)


def masks(bag: Path, topic: str) -> Iterator[tuple[int, Ids]]:
    """Read a topic's masks with their header stamps [ns]; damaged ones are left out.

    Raises:
        InputError: If the topic has no masks.
    """
    with open_masks(bag, topic) as stream:
        for stamp, message in stream.messages(set(stream.stamps)):
            ids = stream.ids(message)
            if ids is not None:
                yield stamp, ids


def mask_topics(bag: Path) -> list[str]:
    """Return the topics of a bag that end in /mask.

    Raises:
        InputError: If there is none.
    """
    with open_bag(bag) as reader:
        found = sorted(
            {
                c.topic
                for c in reader.connections
                if c.topic.endswith('/mask') and c.msgtype == IMAGE
            }
        )
        if not found:
            msg = f'{bag} has no masks (topics that end in /mask); it has: {described(reader)}.'
            raise InputError(msg)
        return found
