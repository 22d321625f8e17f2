# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag diff`: the masks of two bags against each other."""

from collections.abc import Iterator
import heapq
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyperseg_core.html_report import HtmlReport
from hyperseg_core.html_report import check_report_path
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.render import colourise
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import errors_image
from hyperseg_core.render import write_png
from hyperseg_ros.bags.mask_stream import Ids
from hyperseg_ros.bags.mask_stream import mask_topics
from hyperseg_ros.bags.mask_stream import open_masks
from hyperseg_ros.bags.mask_stream import paired

_COLUMNS = ('topic', 'frames', 'only in one', 'agreement', 'least')
_SHOWN = 6
_LINES = 10


class _Comparison:
    """How far the masks of a topic agree, and the frames that differ most."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.agreements: list[float] = []
        self.num_alone = 0
        self.losses: list[str] = []
        self.worst: list[tuple[float, int, NDArray[np.uint8], NDArray[np.uint8]]] = []

    def add(self, stamp: int, first: Ids, second: Ids) -> None:
        """Compare two masks; of those that differ most, a few are kept."""
        agreement = float((first == second).mean()) if first.shape == second.shape else 0.0
        self.agreements.append(agreement)
        # A heap keeps its least first: there, of those kept, is the one that agrees best.
        if len(self.worst) < _SHOWN or -agreement > self.worst[0][0]:
            kept = (-agreement, -stamp, _as_bytes(first), _as_bytes(second))
            push = heapq.heappush if len(self.worst) < _SHOWN else heapq.heapreplace
            push(self.worst, kept)

    def row(self) -> list[str]:
        """Return the table's line."""
        mean = float(np.mean(self.agreements)) if self.agreements else 0.0
        least = min(self.agreements, default=0.0)
        counts = len(self.agreements), self.num_alone
        return [self.topic, *map(str, counts), f'{mean:.6f}', f'{least:.6f}']

    def shown(self) -> Iterator[tuple[int, float, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield stamp [ns], agreement and both masks of those that differ most, worst first."""
        for kept in sorted(self.worst, key=lambda kept: kept[:2], reverse=True):
            yield -kept[1], -kept[0], *kept[2:]

    @property
    def differs(self) -> bool:
        """Whether anything is not alike, or not to be compared."""
        return bool(self.num_alone or self.losses or min(self.agreements, default=0.0) < 1.0)


def _as_bytes(ids: Ids) -> NDArray[np.uint8]:
    return np.clip(ids, 0, 255).astype(np.uint8)


def bag_diff_command(
    a: Path,
    b: Path,
    sheet: Path | None = None,
    label_set: str = 'camvid',
    report: Path | None = None,
) -> int:
    """Compare the masks of two bags; exit status 1 if they differ, 2 if one has none.

    Args:
        a: A labelled bag.
        b: Another.
        sheet: Where to write a contact sheet of the frames that differ most.
        label_set: Name or YAML of the label set, for the colours.
        report: HTML file with the table and the frames that differ most, which needs no server.
    """
    check_report_path(report)
    known = load_labels(label_set)
    console = Console()
    table = Table(*_COLUMNS)
    topics = set(mask_topics(a)), set(mask_topics(b))
    found = [_compare(a, b, topic) for topic in sorted(topics[0] & topics[1])]
    for item in found:
        table.add_row(*(Text(cell) for cell in item.row()))
    console.print(table)
    lines = [f'{topic} is only in one of them.' for topic in sorted(topics[0] ^ topics[1])]
    lines += [line for item in found for line in item.losses]
    for line in lines[:_LINES]:
        console.print(line, markup=False, highlight=False)
    if len(lines) > _LINES:
        console.print(f'and {len(lines) - _LINES} more problems.')
    tiles, captions = [], []
    for item in found:
        for stamp, agreement, *sides in item.shown():
            tiles += [colourise(side, known) for side in sides]
            captions += [f'{name} {stamp} {agreement:.4f}' for name in ('a', 'b')]
    if sheet is not None and tiles:
        write_png(sheet, contact_sheet(tiles, captions, columns=4))
    if report is not None:
        _write_report(report, (a, b), found, lines, known)
    return 1 if lines or any(item.differs for item in found) else 0


def _write_report(
    path: Path,
    bags: tuple[Path, Path],
    found: list[_Comparison],
    lines: list[str],
    known: LabelSet,
) -> None:
    page = HtmlReport(f'{bags[0].name} (a) against {bags[1].name} (b)')
    page.table(_COLUMNS, [item.row() for item in found])
    for line in lines:
        page.text(line)
    for item in found:
        page.heading(f'{item.topic}: the frames that differ most, the worst first')
        for stamp, agreement, first, second in item.shown():
            pictures = [
                (f'a, {stamp} ns: {agreement:.4f} agree', colourise(first, known)),
                ('b', colourise(second, known)),
            ]
            if first.shape == second.shape:
                pictures.append(('differ', errors_image(first, second)))
            page.pictures(pictures)
    page.write(path)


def _compare(a: Path, b: Path, topic: str) -> _Comparison:
    comparison = _Comparison(topic)
    with open_masks(a, topic) as first, open_masks(b, topic) as second:
        common = set(first.stamps) & set(second.stamps)
        comparison.num_alone = len(set(first.stamps) ^ set(second.stamps))
        for stamp, ids, other in paired(first, second, common):
            comparison.add(stamp, ids, other)
        comparison.losses = list(dict.fromkeys([*first.losses(), *second.losses()]))
    return comparison
