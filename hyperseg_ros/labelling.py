# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelling one bag: every image once, in chunks, the same bytes every time.

Each chunk is a small bag of its own in a folder beside the output. A chunk is renamed when it is
whole, and the output when all chunks are joined: whatever interrupts, a resumed run goes on after
the last whole chunk and ends with the same content.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import field
import hashlib
import itertools
import json
from pathlib import Path
import shutil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import ProgressColumn
from rich.progress import Task
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.text import Text

from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.render import overlay
from hyperseg_ros.bags import COMPRESSED
from hyperseg_ros.bags import IMAGE
from hyperseg_ros.bags import LABEL_INFO
from hyperseg_ros.bags import BagReader
from hyperseg_ros.bags import BagWriter
from hyperseg_ros.bags import DamagedBagError
from hyperseg_ros.bags import RawMessage
from hyperseg_ros.bags import image_connections
from hyperseg_ros.bags import open_bag
from hyperseg_ros.bags import output_prefixes
from hyperseg_ros.bags import read_messages
from hyperseg_ros.conversions import compressed_to_rgb
from hyperseg_ros.conversions import encode_png
from hyperseg_ros.conversions import image_to_rgb

_CHUNK = 200
_CHUNK_BYTES = 128 << 20
"""A chunk ends at so many messages or so many bytes, whichever comes first."""
_BATCH = 4
"""Images segmented at once; as many again are decoded meanwhile."""
_HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What is written beside the masks."""

    confidence: bool = False
    overlay: bool = False
    compressed: bool = False
    copy: bool = False
    storage: str = 'mcap'


@dataclass(slots=True)
class LabelReport:
    """What became of every image message."""

    labelled: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A message on its way: an image, something to copy, or a problem."""

    message: RawMessage
    copied: RawMessage | None = None
    """The message as it is copied, where that is asked for and can be."""
    header: Any = None
    pixels: NDArray[np.uint8] | None = None
    problem: str = ''


def label_bag(
    bag: Path,
    out: Path,
    segmenter: Segmenter,
    options: LabelOptions,
    topics: list[str] | None = None,
    *,
    resume: bool = False,
    chunk_size: int = _CHUNK,
) -> LabelReport:
    """Label one bag.

    Raises:
        ConfigError: If `out` is there already, or an interrupted run had other options.
        InputError: If the bag cannot be opened or has no images.
    """
    if out.exists():
        msg = f'{out} is there already; give another name or delete it.'
        raise ConfigError(msg)
    parts = out.with_name(f'{out.name}.parts')
    provenance = _provenance(bag, segmenter, options, topics)
    _prepare_parts(parts, provenance, resume=resume)
    with open_bag(bag) as reader:
        images = image_connections(reader, topics)
        chosen = list(reader.connections) if options.copy else images
        total = sum(item.msgcount for item in chosen)
        labeller = _Labeller(segmenter, options, {item.topic for item in images})
        report = LabelReport()
        columns = (
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), _Rate(),
            TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns) as progress:
            task = progress.add_task(bag.name, total=total)
            messages = _Messages(reader, chosen, report)
            for index in itertools.count():
                if not messages.has_more:
                    break
                target = parts / f'{index:06d}'
                chunk = messages.chunk(chunk_size, lambda: progress.advance(task))
                if target.exists():
                    collections.deque(chunk, maxlen=0)
                else:
                    labeller.label_chunk(reader, chunk, target)
    _join(parts, out, provenance, segmenter, options, report)
    return report


def _provenance(
    bag: Path, segmenter: Segmenter, options: LabelOptions, topics: list[str] | None
) -> dict[str, Any]:
    from importlib import metadata

    return {
        'checkpoint': segmenter.checkpoint.digest,
        'engine': str(segmenter.spec),
        'size': 'by frame' if segmenter.size is None else list(segmenter.size),
        'input': _hash_input(bag),
        'options': {name: getattr(options, name) for name in LabelOptions.__slots__},
        'topics': topics or 'all with images',
        'package': metadata.version('hyperseg_ros'),
    }


def _hash_input(bag: Path) -> str:
    """Return the SHA-256 of the bag's files' names, sizes and first and last megabyte."""
    hasher = hashlib.sha256()
    files = [bag] if bag.is_file() else sorted(p for p in bag.iterdir() if p.is_file())
    for path in files:
        size = path.stat().st_size
        hasher.update(f'{path.name}:{size}\n'.encode())
        with path.open('rb') as file:
            hasher.update(file.read(_HASHED_BYTES))
            file.seek(max(0, size - _HASHED_BYTES))
            hasher.update(file.read())
    return hasher.hexdigest()


def _prepare_parts(parts: Path, provenance: dict[str, Any], *, resume: bool) -> None:
    manifest = parts / 'provenance.json'
    content = json.dumps(provenance, indent=2, sort_keys=True)
    if resume and manifest.is_file():
        if manifest.read_text(encoding='utf-8') != content:
            msg = (
                f'{parts} is from a run with another input, checkpoint or options; delete it, or '
                f'give the same ones.'
            )
            raise ConfigError(msg)
    else:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        manifest.write_text(content, encoding='utf-8')
    for unfinished in parts.glob('*.unfinished'):
        shutil.rmtree(unfinished)


class _Rate(ProgressColumn):
    """Messages per second."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last moments, or of the whole when the task is done."""
        return Text(f'{task.finished_speed or task.speed or 0.0:.1f}/s')


class _Messages:
    """Messages in chunks, one in memory at a time; a damaged bag ends early, and that is told."""

    def __init__(self, reader: BagReader, connections: list[Any], report: LabelReport) -> None:
        self._messages, self._report = read_messages(reader, connections), report
        self._next = self._advance()

    def _advance(self) -> RawMessage | None:
        try:
            return next(self._messages, None)
        except DamagedBagError as error:
            self._report.problems.append(str(error))
            return None

    @property
    def has_more(self) -> bool:
        """Whether another chunk has messages."""
        return self._next is not None

    def chunk(self, size: int, on_message: Callable[[], None]) -> Iterator[RawMessage]:
        """Give the messages of a chunk: so many, or so many bytes."""
        num_messages = num_bytes = 0
        while self._next is not None and num_messages < size and num_bytes < _CHUNK_BYTES:
            message, self._next = self._next, None
            num_messages, num_bytes = num_messages + 1, num_bytes + len(message.data)
            yield message
            on_message()
            self._next = self._advance()


class _Labeller:
    """Decodes ahead, segments, and encodes behind, each in a thread of its own."""

    def __init__(self, segmenter: Segmenter, options: LabelOptions, topics: set[str]) -> None:
        self._segmenter, self._options = segmenter, options
        self._prefixes = output_prefixes(topics)

    def label_chunk(self, reader: BagReader, chunk: Iterator[RawMessage], target: Path) -> None:
        """Write a chunk's bag and its report, then give it its name."""
        unfinished = target.with_name(f'{target.name}.unfinished')
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        writer = BagWriter(unfinished / 'bag', storage='mcap')
        report: dict[str, Any] = {'labelled': 0, 'problems': [], 'not_copied': []}
        with ThreadPoolExecutor(1) as decoding, ThreadPoolExecutor(1) as writing:
            waiting: list[Future[_Decoded]] = []
            written: list[Future[None]] = []
            for message in chunk:
                waiting.append(decoding.submit(self._decode, reader, message))
                if len(waiting) == 2 * _BATCH:
                    batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
                    self._finish(batch, writer, writing, written, report)
            for start in range(0, len(waiting), _BATCH):
                self._finish(waiting[start : start + _BATCH], writer, writing, written, report)
            for done in written:
                done.result()
        writer.close()
        (unfinished / 'report.json').write_text(json.dumps(report), encoding='utf-8')
        unfinished.rename(target)

    def _decode(self, reader: BagReader, message: RawMessage) -> _Decoded:
        kind, topic = message.connection.msgtype, message.connection.topic
        is_image = topic in self._prefixes
        copied: RawMessage | None = None
        try:
            copied = reader.as_ros2(message) if self._options.copy else None
            if not is_image:
                return _Decoded(message, copied)
            content: Any = reader.deserialize(message.data, kind)
            pixels = (
                compressed_to_rgb(content.data) if kind == COMPRESSED else image_to_rgb(content)
            )
            return _Decoded(message, copied, content.header, pixels)
        except Exception as error:  # whatever a damaged message provokes is told, once, here
            place = f'{topic} at {message.time_ns} ns' if is_image else topic
            return _Decoded(message, copied, problem=f'{place}: {error}')

    def _finish(
        self,
        batch: list[Future[_Decoded]],
        writer: BagWriter,
        writing: ThreadPoolExecutor,
        written: list[Future[None]],
        report: dict[str, Any],
    ) -> None:
        """Segment the images of a batch, whatever topics they are of, and write in order."""
        while len(written) > _BATCH:
            written.pop(0).result()
        items = [future.result() for future in batch]
        results = iter(self._segmenter([i.pixels for i in items if i.pixels is not None]))
        for item in items:
            if item.problem:
                # A line for every image, but one for a topic whose messages cannot be copied.
                is_image = item.message.connection.topic in self._prefixes
                report['problems' if is_image else 'not_copied'].append(item.problem)
            if item.pixels is not None:
                report['labelled'] += 1
                written.append(writing.submit(self._write, writer, item, next(results)))
            elif item.copied is not None:
                written.append(writing.submit(writer.copy, item.copied))

    def _write(self, writer: BagWriter, item: _Decoded, found: Segmentation) -> None:
        assert item.pixels is not None
        prefix, time_ns = self._prefixes[item.message.connection.topic], item.message.time_ns
        header = writer.header(item.header)
        if item.copied is not None:
            writer.copy(item.copied)
        mask = writer.image(header, found.labels, 'mono8')
        writer.write(f'{prefix}/mask', IMAGE, time_ns, mask)
        if self._options.confidence:
            plane = writer.image(header, found.confidence, 'mono8')
            writer.write(f'{prefix}/confidence', IMAGE, time_ns, plane)
        if self._options.compressed:
            png = writer.compressed(header, encode_png(found.labels), 'mono8; png compressed ')
            writer.write(f'{prefix}/mask/compressed', COMPRESSED, time_ns, png)
        if self._options.overlay:
            pixels = np.ascontiguousarray(item.pixels)
            picture = overlay(pixels, found.labels, self._segmenter.labels)
            writer.write(
                f'{prefix}/overlay', IMAGE, time_ns, writer.image(header, picture, 'rgb8')
            )


def _join(
    parts: Path,
    out: Path,
    provenance: dict[str, Any],
    segmenter: Segmenter,
    options: LabelOptions,
    report: LabelReport,
) -> None:
    """Join the chunks to the output bag and give it its name."""
    chunks = sorted(path for path in parts.iterdir() if path.name.isdigit())
    not_copied: dict[str, None] = {}
    for chunk in chunks:
        part = json.loads((chunk / 'report.json').read_text(encoding='utf-8'))
        report.labelled += part['labelled']
        report.problems = part['problems'] + report.problems
        not_copied.update(dict.fromkeys(part['not_copied']))
    report.problems += not_copied
    if not report.labelled:
        shutil.rmtree(parts)
        return
    # Storage files are named after the folder that they are written in.
    unfinished = parts / 'joined.unfinished' / out.name
    shutil.rmtree(unfinished.parent, ignore_errors=True)
    unfinished.parent.mkdir()
    writer = BagWriter(unfinished, storage=options.storage)
    writer.annotate('hyperseg', json.dumps(provenance, sort_keys=True))
    prefixes: set[str] = set()
    for chunk in chunks:
        with open_bag(chunk / 'bag') as reader:
            masks = {c.topic for c in reader.connections if c.topic.endswith('/mask')}
            for message in read_messages(reader, list(reader.connections)):
                for topic in sorted(masks - prefixes):
                    prefixes.add(topic)
                    names, threshold = segmenter.labels.names, segmenter.confidence_threshold
                    header = writer.header_at(message.time_ns, '')
                    info = writer.label_info(header, names, threshold)
                    topic_info = f'{topic.removesuffix("/mask")}/label_info'
                    writer.write(topic_info, LABEL_INFO, message.time_ns, info, latched=True)
                writer.copy(message)
    writer.close()
    summary = {'labelled': report.labelled, 'problems': report.problems, **provenance}
    (unfinished / 'labelling.json').write_text(json.dumps(summary, indent=2), encoding='utf-8')
    unfinished.rename(out)
    shutil.rmtree(parts)
