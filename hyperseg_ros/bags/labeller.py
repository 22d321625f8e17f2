# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in, a chunk with their masks out: decoding ahead, segmenting, writing behind."""

from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.render import overlay
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.parts import Parts
from hyperseg_ros.bags.tally import Tally
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.bags.writer import MAX_TIME_NS
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.bags.writer import check_storage
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.decoding import VIDEO_TYPES
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.encoding import MASK_FORMAT
from hyperseg_ros.messages.encoding import encode_png

_BATCH = 4
"""Images segmented at once; as many again are decoded meanwhile."""
_DECODED_BYTES = 384 << 20
"""Of large images, only as many are on their way as fit into this."""


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What is written beside the masks."""

    confidence: bool = False
    overlay: bool = False
    compressed: bool = False
    copy: bool = False
    storage: str = 'mcap'
    zstd: bool = False
    """Whether the bag's chunks are compressed."""

    def __post_init__(self) -> None:
        """Check what does not depend on a bag.

        Raises:
            InputError: If the storage is unknown, or does not compress.
        """
        check_storage(self.storage, zstd=self.zstd)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A message on its way: an image, something to copy, or a problem."""

    message: RawMessage
    copied: RawMessage | None = None
    """The message as it is copied, where that is asked for and can be."""
    header: Any = None
    pixels: NDArray[np.uint8] | None = None
    problem: str = ''


class Labeller:
    """Decodes ahead, segments, and encodes behind, each in a thread of its own."""

    def __init__(
        self,
        segmenter: Segmenter,
        options: LabelOptions,
        images: list[Connection],
        prefixes: dict[str, str],
    ) -> None:
        """Prepare for the messages of a bag.

        Args:
            segmenter: Makes the masks.
            options: What is written beside them.
            images: The connections with images to label; others are copied.
            prefixes: Where the masks of each topic go.
        """
        self._segmenter, self._options = segmenter, options
        self._images = {item.id for item in images}
        self._prefixes = prefixes
        self._types = MessageTypes()
        self._decoders = {item.id: ImageDecoder() for item in images}
        self._tally = Tally()

    def label_chunk(self, chunk: Iterator[RawMessage], parts: Parts, index: int) -> None:
        """Write a chunk's bag and its report, then give it its name."""
        target = parts.chunk(index)
        unfinished = parts.unfinished(target.name)
        writer = BagWriter(unfinished / 'bag', storage='mcap')
        report: dict[str, Any] = {'labelled': 0, 'problems': [], 'not_copied': [], 'masks': []}
        self._tally = Tally()
        try:
            self._label(chunk, writer, report)
        except BaseException:
            writer.abort()
            raise
        writer.close()
        report['masks'].sort()
        report |= self._tally.to_chunk()
        (unfinished / 'report.json').write_text(json.dumps(report), encoding='utf-8')
        unfinished.rename(target)

    def pass_over(self, chunk: Iterator[RawMessage]) -> None:
        """Read a chunk that is whole already; pictures of videos depend on those before."""
        for message in chunk:
            connection = message.connection
            if connection.id in self._images and connection.msgtype in VIDEO_TYPES | {COMPRESSED}:
                self._decode_image(message)

    def _label(
        self, chunk: Iterator[RawMessage], writer: BagWriter, report: dict[str, Any]
    ) -> None:
        with ThreadPoolExecutor(1) as decoding, ThreadPoolExecutor(1) as writing:
            waiting: list[Future[_Decoded]] = []
            written: list[Future[None]] = []
            for message in chunk:
                waiting.append(decoding.submit(self._decode, message, writer))
                room = _room(waiting[0].result())
                while len(waiting) >= room:
                    count = max(1, room // 2)
                    batch, waiting = waiting[:count], waiting[count:]
                    self._finish(batch, writer, writing, written, report)
            for start in range(0, len(waiting), _BATCH):
                self._finish(waiting[start : start + _BATCH], writer, writing, written, report)
            for done in written:
                done.result()

    def _decode(self, message: RawMessage, writer: BagWriter) -> _Decoded:
        connection = message.connection
        is_image = connection.id in self._images
        copied: RawMessage | None = None
        try:
            if not 0 <= message.time_ns <= MAX_TIME_NS:
                msg = 'its log time is none that a bag can hold'
                raise InputError(msg)
            copied = self._types.as_ros2(message) if self._options.copy else None
            if not is_image:
                return _Decoded(message, copied)
            content, pixels = self._decode_image(message)
            return _Decoded(message, copied, writer.header(content), pixels)
        except Exception as error:  # whatever a damaged message provokes is reported once, here
            place = connection.topic
            if is_image:
                kind = connection.msgtype
                named = f' ({kind})' if kind in VIDEO_TYPES else ''
                place = f'{place}{named} at {message.time_ns} ns'
            return _Decoded(message, copied, problem=f'{place}: {error}')

    def _decode_image(self, message: RawMessage) -> tuple[Any, NDArray[np.uint8]]:
        content = self._types.deserialize(message)
        return content, self._decoders[message.connection.id].to_rgb(content)

    def _finish(
        self,
        batch: list[Future[_Decoded]],
        writer: BagWriter,
        writing: ThreadPoolExecutor,
        written: list[Future[None]],
        report: dict[str, Any],
    ) -> None:
        """Segment the images of a batch, whatever topics they are of, and write in order."""
        items = [future.result() for future in batch]
        is_large = _room(items[0]) < 2 * _BATCH
        while len(written) > (0 if is_large else _BATCH):
            written.pop(0).result()
        results = iter(self._segmenter([i.pixels for i in items if i.pixels is not None]))
        for item in items:
            connection = item.message.connection
            if item.problem:
                # A line for every image, but one for a topic whose messages cannot be copied.
                is_image = connection.id in self._images
                report['problems' if is_image else 'not_copied'].append(item.problem)
            if item.pixels is not None:
                report['labelled'] += 1
                mask = f'{self._prefixes[connection.topic]}/mask'
                if mask not in report['masks']:
                    report['masks'].append(mask)
                written.append(writing.submit(self._write, writer, item, next(results)))
            elif item.copied is not None:
                written.append(writing.submit(writer.copy, item.copied))

    def _write(self, writer: BagWriter, item: _Decoded, found: Segmentation) -> None:
        assert item.pixels is not None
        topic, time_ns = item.message.connection.topic, item.message.time_ns
        prefix, header = self._prefixes[topic], item.header
        stamp_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        self._tally.add(topic, stamp_ns, found.class_ids)
        if item.copied is not None:
            writer.copy(item.copied)
        mask = writer.image(header, found.class_ids, 'mono8')
        writer.write(f'{prefix}/mask', IMAGE, time_ns, mask)
        if self._options.confidence:
            plane = writer.image(header, found.confidence, 'mono8')
            writer.write(f'{prefix}/confidence', IMAGE, time_ns, plane)
        if self._options.compressed:
            png = writer.compressed(header, encode_png(found.class_ids), MASK_FORMAT)
            writer.write(f'{prefix}/mask/compressed', COMPRESSED, time_ns, png)
        if self._options.overlay:
            pixels = np.ascontiguousarray(item.pixels)
            picture = overlay(pixels, found.class_ids, self._segmenter.label_set)
            writer.write(
                f'{prefix}/overlay', IMAGE, time_ns, writer.image(header, picture, 'rgb8')
            )


def _room(item: _Decoded) -> int:
    """Return how many images may be on their way, if all are as large as one."""
    num_bytes = len(item.message.data) + (0 if item.pixels is None else item.pixels.nbytes)
    return max(1, min(2 * _BATCH, _DECODED_BYTES // max(1, num_bytes)))


def chunk_report(chunk: Path) -> dict[str, Any]:
    """Return what a whole chunk reports."""
    return dict(json.loads((chunk / 'report.json').read_text(encoding='utf-8')))
