# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The masks that a labelled bag has for the images of another, or of its own."""

from collections.abc import Iterator
import contextlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.mask_stream import MaskStream
from hyperseg_ros.bags.mask_stream import open_masks
from hyperseg_ros.bags.reader import BagReader
from hyperseg_ros.bags.topics import output_prefixes
from hyperseg_ros.bags.types import LABEL_INFO
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.decoding import IMAGE

_WAITING_BYTES = 256 << 20


class MaskLookup:
    """The masks of one topic by stamp; asked for in the order of the bag."""

    def __init__(self, masks: MaskStream, label_set: LabelSet) -> None:
        """Take a topic's masks, and what their ids mean."""
        self._masks, self._label_set = masks, label_set
        self._messages = masks.messages(set(masks.stamps))
        self._to_come = set(masks.stamps)
        self._waiting: dict[int, RawMessage] = {}
        self._num_bytes = 0

    def ids(self, stamp_ns: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the ids (H, W) of a frame.

        Raises:
            InputError: If there is no mask with its stamp, or it is damaged, of another size, or
                holds ids that no class has.
        """
        # For a mask that is not there none is read: those of later frames would have to make room.
        while stamp_ns not in self._waiting:
            found = next(self._messages, None) if stamp_ns in self._to_come else None
            if found is None:
                msg = f'no mask of {self._masks.topic} has the stamp {stamp_ns} ns'
                raise InputError(msg)
            self._keep(*found)
        message = self._waiting.pop(stamp_ns)
        self._num_bytes -= len(message.data)
        ids = self._masks.ids(message)
        if ids is None:
            raise InputError(self._masks.problems[-1])
        if ids.shape != size:
            msg = f'its mask is {ids.shape} px, the image {size} px'
            raise InputError(msg)
        odd = np.unique(ids[(ids != IGNORE_ID) & ((ids < 0) | (ids >= len(self._label_set)))])
        if odd.size:
            msg = (
                f'its mask holds ids {odd[:5].tolist()}, but {self._label_set.name!r} has '
                f'{len(self._label_set)} classes; name the right one by --label-set'
            )
            raise InputError(msg)
        return ids.astype(np.uint8)

    def _keep(self, stamp_ns: int, message: RawMessage) -> None:
        """Keep a mask until its frame comes; those of frames that never come make room."""
        self._to_come.discard(stamp_ns)
        self._waiting[stamp_ns] = message
        self._num_bytes += len(message.data)
        while self._num_bytes > _WAITING_BYTES and len(self._waiting) > 1:
            oldest = next(iter(self._waiting))
            self._num_bytes -= len(self._waiting.pop(oldest).data)


def mask_topic(reader: BagReader, topic: str, others: set[str]) -> str | None:
    """Return the topic of a labelled bag where the masks of a topic of images lie, or None.

    Args:
        reader: The labelled bag.
        topic: The topic of images.
        others: All topics of images that were labelled with it, on which the name may depend.
    """
    there = {item.topic for item in reader.connections if item.msgtype == IMAGE}
    places = [output_prefixes(others | {topic})[topic], output_prefixes({topic})[topic]]
    places.append(f'/segmenter{topic.removesuffix("/compressed")}')
    places.append(f'/segmenter{topic}')
    return next((f'{place}/mask' for place in places if f'{place}/mask' in there), None)


@contextlib.contextmanager
def open_lookup(bag: Path, topic: str, label_set: LabelSet) -> Iterator[MaskLookup]:
    """Open the masks of a topic.

    Raises:
        InputError: If they cannot be read, or were made with other classes.
    """
    with open_masks(bag, topic) as masks:
        yield MaskLookup(masks, label_set)


def check_classes(bag: Path, reader: BagReader, topic: str, label_set: LabelSet) -> None:
    """Check that a labelled bag names the classes of a label set, where it names any.

    Raises:
        InputError: If it names others.
    """
    told = f'{topic.removesuffix("/mask")}/label_info'
    connections = [c for c in reader.connections if (c.topic, c.msgtype) == (told, LABEL_INFO)]
    for message in reader.messages(connections) if connections else ():
        classes = {c.class_id: c.class_name for c in MessageTypes().deserialize(message).class_map}
        expected = dict(enumerate(label_set.names))
        classes.pop(IGNORE_ID, None)
        if classes != expected:
            msg = (
                f'The masks of {bag} have the classes {", ".join(map(str, classes.values()))}, '
                f'not those of {label_set.name!r}; name their label set by --label-set, or their '
                f'--checkpoint.'
            )
            raise InputError(msg)
        return
