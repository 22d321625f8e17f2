# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet stats`: what labelled bags hold, from what labelling wrote about each."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hyperseg_core.errors import InputError
from hyperseg_core.html_report import HtmlReport
from hyperseg_core.html_report import check_report_path
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_ros.fleet.commit import Result
from hyperseg_ros.fleet.commit import find_results
from hyperseg_ros.fleet.storage import COMMAND_PATIENCE_S
from hyperseg_ros.fleet.storage import Store
from hyperseg_ros.fleet.tables import Row
from hyperseg_ros.fleet.tables import print_table

_COLUMNS = ('bag', 'images', 'dropped', 'damaged', 'rarest classes', 'trouble')
_CLASS_COLUMNS = ('class', 'of the pixels', 'pixels')
_RAREST = 3


def fleet_stats_command(
    out: str, label_set: str = 'camvid', report: Path | None = None, all: bool = False
) -> int:
    """Say what labelled bags hold; exit status 1 if some failed.

    Args:
        out: Where `hyperseg fleet label` wrote.
        label_set: Name or YAML of the label set.
        report: HTML file with the same, which needs no server.
        all: Print every bag, not only those with the most trouble.
    """
    check_report_path(report)
    known = load_labels(label_set)
    results = sorted(
        committed(Store(out, patience_s=COMMAND_PATIENCE_S)), key=lambda item: item.name
    )
    rows = [_row(result, known) for result in results]
    pixels = Counter[int]()
    for result in results:
        pixels.update(class_pixels(result))
    shares = _share_rows(pixels, known)
    whole = [result for result in results if not result.is_failed]
    text = (
        f'{len(whole)} of {len(results)} bags are labelled: {_sum(rows, 1)} images, about '
        f'{_sum(rows, 2)} dropped before they were recorded, {_sum(rows, 3)} damaged.'
    )
    console = Console()
    print_table(console, _CLASS_COLUMNS, shares)
    worst = sorted(rows, key=_trouble, reverse=True)
    print_table(console, _COLUMNS, rows if all else worst, limit=None if all else 20)
    console.print(text, highlight=False)
    if report is not None:
        page = HtmlReport(f'What the labelled bags of {out} hold')
        page.text(text)
        page.heading('Classes')
        page.table(_CLASS_COLUMNS, shares)
        page.heading('Bags, those with the most trouble first')
        page.table(_COLUMNS, worst)
        page.write(report)
    return 1 if len(whole) < len(results) else 0


def committed(store: Store) -> list[Result]:
    """Return the results in a store.

    Raises:
        InputError: If there is none.
    """
    found = list(find_results(store).values())
    if not found:
        msg = (
            f'{store.url} holds no results of `hyperseg fleet label`; those that are not complete '
            f'do not count.'
        )
        raise InputError(msg)
    return found


def class_pixels(result: Result) -> Counter[int]:
    """Return how many pixels of a bag have each id."""
    pixels = {} if result.is_failed else result.content['class_pixels']
    return Counter({int(class_id): count for class_id, count in pixels.items()})


def _row(result: Result, known: LabelSet) -> Row:
    if result.is_failed:
        return [result.name, 0, 0, 0, '', str(result.content.get('reason', ''))]
    content = result.content
    images = content['images'].values()
    pixels = class_pixels(result)
    present = [i for i in range(len(known)) if pixels[i]]
    rarest = sorted(present, key=lambda class_id: (pixels[class_id], class_id))[:_RAREST]
    problems = content['problems']
    return [
        result.name,
        int(content['labelled']),
        sum(item['dropped'] for item in images),
        len(problems),
        ', '.join(known.names[class_id] for class_id in rarest),
        str(problems[0]) if problems else '',
    ]


def _share_rows(pixels: Counter[int], known: LabelSet) -> list[Row]:
    total = max(1, sum(pixels.values()))
    names = {**dict(enumerate(known.names)), IGNORE_ID: 'unlabelled'}
    rows: list[Row] = [
        [name, f'{100 * pixels[class_id] / total:.3f} %', pixels[class_id]]
        for class_id, name in names.items()
    ]
    others = sum(count for class_id, count in pixels.items() if class_id not in names)
    if others:
        rows.append(['no class of this label set', f'{100 * others / total:.3f} %', others])
    return rows


def _trouble(row: Sequence[object]) -> tuple[bool, int, int]:
    dropped, damaged = row[2], row[3]
    assert isinstance(dropped, int)
    assert isinstance(damaged, int)
    return row[1] == 0, damaged, dropped


def _sum(rows: Sequence[Row], column: int) -> int:
    return sum(int(str(row[column])) for row in rows)
