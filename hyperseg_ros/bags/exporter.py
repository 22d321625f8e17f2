# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of bags and their ids, into a folder of a tool's format."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import contextlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.annotation.cityscapes_tree import CityscapesWriter
from hyperseg_core.annotation.coco_file import CocoWriter
from hyperseg_core.annotation.cvat_file import CvatWriter
from hyperseg_core.annotation.formats import AnnotationWriter
from hyperseg_core.annotation.formats import FormatName
from hyperseg_core.annotation.formats import Frame
from hyperseg_core.annotation.names import frame_name
from hyperseg_core.annotation.names import safe_names
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.labels import LabelSet
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.frames import BagFrame
from hyperseg_ros.bags.frames import EverySeconds
from hyperseg_ros.bags.frames import read_frames
from hyperseg_ros.bags.mask_lookup import MaskLookup
from hyperseg_ros.bags.mask_lookup import check_classes
from hyperseg_ros.bags.mask_lookup import mask_topic
from hyperseg_ros.bags.mask_lookup import open_lookup
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.topics import image_topics

_WRITERS: Mapping[FormatName, Callable[[Path, LabelSet], AnnotationWriter]] = {
    'cityscapes': CityscapesWriter, 'coco': CocoWriter, 'cvat': CvatWriter,
}  # fmt: skip
_CODINGS = {
    'png': ('.png', (cv2.IMWRITE_PNG_COMPRESSION, 3)),
    'jpeg': ('.jpg', (cv2.IMWRITE_JPEG_QUALITY, 95)),
}
RECORD = 'export.json'
"""In what was exported: which frame is which."""
Stamps = dict[str, set[int]]
"""Stamps [ns] that are wanted, by topic."""


class Exporter:
    """Writes the frames of bags, one after another."""

    def __init__(
        self,
        folder: Path,
        format: FormatName,
        label_set: LabelSet,
        images: str,
        bags: Iterable[str],
        segmenter: Callable[[], Segmenter],
    ) -> None:
        """Begin in an empty folder.

        Args:
            folder: Where to write.
            format: The tool's.
            label_set: What the ids mean.
            images: png or jpeg.
            bags: What the bags are called, each other than all others.
            segmenter: Gives the segmenter, which is made when a topic has no masks.
        """
        self._folder, self._label_set, self._segmenter = folder, label_set, segmenter
        self._writer = _WRITERS[format](folder, label_set)
        self._format, (self._ending, self._parameters) = format, _CODINGS[images]
        self._records: list[dict[str, Any]] = []
        self._bags = safe_names(bags)
        self.problems: list[str] = []
        """What was lost, a line each."""
        self.left_out: list[str] = []
        """Topics that were not meant, a line each."""

    @property
    def num_frames(self) -> int:
        """The number of frames written."""
        return len(self._records)

    def export(
        self,
        bag: Path,
        name: str,
        every_s: float,
        stamps: Stamps | None,
        topics: list[str] | None,
        labelled: Path | None,
    ) -> None:
        """Write the frames of a bag.

        Args:
            bag: The bag with the images.
            name: What it is called.
            every_s: Time between frames of a topic [s], where no stamps are given.
            stamps: The frames wanted.
            topics: Topics of images; None: all of cameras, or those of the stamps.
            labelled: The bag with the masks; None: the bag itself, where it holds some.

        Raises:
            InputError: If a bag cannot be opened, or masks do not fit.
            ConfigError: If there is no segmenter for the classes.
        """
        with open_bag(bag) as reader, contextlib.ExitStack() as stack:
            if stamps is not None and topics is None:
                topics = sorted(stamps)
            found = image_topics(reader, topics)
            self.left_out += [f'{bag}: {line}' for line in found.left_out]
            places = safe_names(item.topic for item in found.chosen)
            lookups = {
                item.topic: self._lookup(stack, bag, labelled, item, places.keys())
                for item in found.chosen
            }
            every, written = EverySeconds(every_s), set[tuple[str, int]]()

            def is_wanted(topic: str, stamp: int) -> bool:
                if stamps is None:
                    return every(topic, stamp)
                return stamp in stamps.get(topic, ())

            lost: list[str] = []
            for frame in read_frames(reader, found.chosen, is_wanted, lost):
                written.add((frame.topic, frame.stamp_ns))
                try:
                    ids = self._ids(frame, lookups[frame.topic])
                except InputError as error:
                    lost.append(f'{frame.topic}, stamp {frame.stamp_ns} ns: {error}')
                    continue
                self._write(name, places[frame.topic], frame, ids)
            asked = {t: w for t, w in (stamps or {}).items() if topics is None or t in topics}
            for topic, wanted in sorted(asked.items()):
                lost += [
                    f'{topic}: the frame of {stamp} ns that was selected is not in the bag, or '
                    f'cannot be read' for stamp in sorted(wanted) if (topic, stamp) not in written
                ]  # fmt: skip
            self.problems += [f'{bag}: {line}' for line in lost]

    def _lookup(
        self,
        stack: contextlib.ExitStack,
        bag: Path,
        labelled: Path | None,
        connection: Connection,
        topics: Any,
    ) -> MaskLookup | None:
        """Open the masks of a topic, if there are any.

        Raises:
            InputError: If a labelled bag was named and has none, or those of other classes.
        """
        place = labelled or bag
        with open_bag(place) as reader:
            masks = mask_topic(reader, connection.topic, set(topics))
            if masks is None:
                if labelled is None:
                    return None
                msg = f'{labelled} has no masks of {connection.topic}; was it made of {bag}?'
                raise InputError(msg)
            check_classes(place, reader, masks, self._label_set)
        return stack.enter_context(open_lookup(place, masks, self._label_set))

    def _ids(self, frame: BagFrame, lookup: MaskLookup | None) -> NDArray[np.uint8]:
        height, width = frame.pixels.shape[:2]
        if lookup is not None:
            return lookup.ids(frame.stamp_ns, (height, width))
        return self._segmenter()(frame.pixels).class_ids

    def _write(self, bag: str, topic: str, frame: BagFrame, ids: NDArray[np.uint8]) -> None:
        ordered = np.ascontiguousarray(frame.pixels[..., ::-1])
        is_encoded, data = cv2.imencode(self._ending, ordered, self._parameters)
        assert is_encoded
        safe = self._bags[bag]
        whole = frame_name(safe, topic, frame.stamp_ns)
        place = self._writer.add(Frame(safe, whole, data.tobytes(), self._ending, ids))
        self._records.append(
            {'image': place, 'bag': bag, 'topic': frame.topic, 'stamp_ns': frame.stamp_ns}
        )

    def finish(self, made_of: dict[str, Any]) -> None:
        """Write what comes last, and which frame is which."""
        self._writer.finish()
        record = {'format': self._format, 'label_set': self._label_set.name, **made_of}
        text = json.dumps({**record, 'frames': self._records}, indent=1)
        (self._folder / RECORD).write_text(text + '\n', encoding='utf-8')
