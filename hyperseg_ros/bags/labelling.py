# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelling one bag: every image once, in chunks, the same bytes every time.

Each chunk is a small bag of its own in a folder beside the output. A chunk is renamed when it is
whole, and the output when all chunks are joined: whatever interrupts, a resumed run goes on after
the last whole chunk and ends with the same content.
"""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from importlib import metadata
import itertools
import json
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import ProgressColumn
from rich.progress import Task
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.text import Text

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.files import LABELLING
from hyperseg_ros.bags.joining import join_chunks
from hyperseg_ros.bags.labeller import Labeller
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.bags.labeller import chunk_report
from hyperseg_ros.bags.parts import Parts
from hyperseg_ros.bags.parts import input_digest
from hyperseg_ros.bags.reader import BagReader
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.topics import image_topics
from hyperseg_ros.bags.topics import output_prefixes

_CHUNK = 200
_CHUNK_BYTES = 128 << 20
"""A chunk ends at so many messages or so many bytes, whichever comes first."""


@dataclass(slots=True)
class LabelReport:
    """What became of every image message."""

    labelled: int = 0
    problems: list[str] = field(default_factory=list)
    """What was lost, a line each."""
    left_out: list[str] = field(default_factory=list)
    """Topics that were not meant, a line each."""
    silent_topics: list[str] = field(default_factory=list)
    """Topics that were asked for, or promise images, of which not one could be read."""
    is_finished: bool = False
    """Whether the output was there already, as a resumed run would have made it."""


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
        ConfigError: If `out` or its folder of parts is there already, or an interrupted run had
            other options.
        InputError: If the bag cannot be opened, has no images, or holds topics like ours that
            are to be copied.
    """
    if out.exists() and not (resume and (out / LABELLING).is_file()):
        msg = f'{out} is there already; give another name or delete it.'
        raise ConfigError(msg)
    with open_bag(bag) as reader:
        found = image_topics(reader, topics)
        chosen = [c for c in reader.connections if c.can_be_read] if options.copy else found.chosen
        prefixes = output_prefixes({item.topic for item in found.chosen})
        _check_clashes(chosen, prefixes, options)
        provenance = _provenance(input_digest(bag, reader), segmenter, options, topics)
        report = LabelReport(left_out=found.left_out)
        if out.exists():
            found_result = _result_of(out, provenance)
            report.is_finished = True
            report.labelled = int(found_result.get('labelled', 0))
            report.problems = [str(line) for line in found_result.get('problems', [])]
            return report
        parts = Parts(out, provenance, resume=resume)
        labeller = Labeller(segmenter, options, found.chosen, prefixes)
        _label_chunks(reader, chosen, labeller, parts, bag.name, chunk_size)
        _collect(report, parts, reader, chosen)
        _note_silence(report, reader, found.chosen, asked=topics is not None)
    if not report.labelled:
        parts.remove_all()
        return report
    join_chunks(
        parts, out, segmenter,
        options=options, provenance=provenance, problems=report.problems,
    )  # fmt: skip
    return report


def _check_clashes(
    copied: list[Connection], prefixes: dict[str, str], options: LabelOptions
) -> None:
    """Refuse to write our topics beside copies of topics with their names."""
    if not options.copy:
        return
    names = ('mask', 'mask/compressed', 'confidence', 'overlay', 'label_info')
    ours = {f'{prefix}/{name}' for prefix in prefixes.values() for name in names}
    clashes = sorted(ours & {item.topic for item in copied})
    if clashes:
        msg = (
            f'The bag already holds {", ".join(clashes)}, which labelling writes; copied, both '
            f'would be mixed. Label it without --copy.'
        )
        raise InputError(msg)


def _provenance(
    digest: str, segmenter: Segmenter, options: LabelOptions, topics: list[str] | None
) -> dict[str, Any]:
    return {
        'checkpoint': segmenter.checkpoint.digest,
        'engine': str(segmenter.spec),
        'size': 'by frame' if segmenter.size is None else list(segmenter.size),
        'input': digest,
        'options': {name: getattr(options, name) for name in LabelOptions.__slots__},
        'topics': topics or 'all with images',
        'package': metadata.version('hyperseg_ros'),
    }


def _result_of(out: Path, provenance: dict[str, Any]) -> dict[str, Any]:
    """Return what an output says of itself, if it is what we would make.

    Raises:
        ConfigError: If it is something else.
    """
    try:
        found = json.loads((out / LABELLING).read_text(encoding='utf-8'))
    except ValueError:
        found = {}
    if isinstance(found, dict) and all(found.get(k) == v for k, v in provenance.items()):
        return found
    msg = (
        f'{out} is there already, and of another input, checkpoint or options; give another name '
        f'or delete it.'
    )
    raise ConfigError(msg)


class _Rate(ProgressColumn):
    """Messages per second."""

    def render(self, task: Task) -> Text:
        """Return the rate of the last moments, or of the whole when the task is done."""
        return Text(f'{task.finished_speed or task.speed or 0.0:.1f}/s')


def _label_chunks(
    reader: BagReader,
    chosen: list[Connection],
    labeller: Labeller,
    parts: Parts,
    name: str,
    chunk_size: int,
) -> None:
    columns = (
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), _Rate(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns) as progress:
        printable = escape(name.encode(errors='replace').decode())
        task = progress.add_task(printable, total=sum(item.msgcount for item in chosen))
        messages = _Messages(reader.messages(chosen))
        for index in itertools.count():
            if not messages.has_more:
                break
            chunk = messages.chunk(chunk_size, lambda: progress.advance(task))
            if parts.chunk(index).exists():
                labeller.pass_over(chunk)
            else:
                labeller.label_chunk(chunk, parts, index)


class _Messages:
    """Messages in chunks, one in memory at a time."""

    def __init__(self, messages: Iterator[RawMessage]) -> None:
        self._messages = messages
        self._next = next(messages, None)

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
            self._next = next(self._messages, None)


def _collect(
    report: LabelReport, parts: Parts, reader: BagReader, chosen: list[Connection]
) -> None:
    """Gather what the chunks report, and what the bag promised and did not hold."""
    not_copied: dict[str, None] = {}
    for chunk in parts.chunks():
        part = chunk_report(chunk)
        report.labelled += part['labelled']
        report.problems += part['problems']
        not_copied.update(dict.fromkeys(part['not_copied']))
    report.problems += not_copied
    report.problems += reader.problems
    report.problems += map(str, reader.gaps(chosen))


def _note_silence(
    report: LabelReport, reader: BagReader, images: list[Connection], *, asked: bool
) -> None:
    """Note the topics of which no image was read; those without any are no loss but a line."""
    lost = {gap.connection.topic for gap in reader.gaps(images) if gap.read == 0}
    empty = {item.topic for item in images if item.msgcount == 0}
    empty -= {item.topic for item in images if reader.num_read(item)}
    report.silent_topics = sorted(lost | (empty if asked else set()))
    report.left_out += [f'{topic} has no messages.' for topic in sorted(empty)]
