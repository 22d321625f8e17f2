# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg check-data`: would training go wrong on these files?"""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import SourceLabel
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import overlay
from hyperseg_core.render import write_png

_SHOWN = 9
_NAMED = 8


def check_data_command(
    data: str, *, root: str = '.', split: str = 'train', sheet: Path | None = None
) -> int:
    """Read every sample of a split and report what is in it; exit status 1 if any is bad.

    Args:
        data: camvid, cityscapes, voc, folder, streets or drive.
        root: The data set's folder; for folder, its YAML.
        split: The split.
        sheet: Where to write a contact sheet of images with their labels.
    """
    source = open_data(SourceConfig(kind=data, split=split, root=root))
    counts = np.zeros(256, np.int64)
    values: Counter[SourceLabel] = Counter()
    sizes: Counter[tuple[int, ...]] = Counter()
    problems: list[str] = []
    shown = np.linspace(0, len(source) - 1, min(_SHOWN, len(source))).astype(int).tolist()
    tiles, captions = [], []
    for index in track(range(len(source)), description='reading'):
        try:
            image, labels = source.load(index)
            if isinstance(source, FilePairs):
                values.update(source.values(index))
        except InputError as error:
            problems.append(str(error))
            continue
        sizes[image.shape[:2]] += 1
        counts += np.bincount(labels.ravel(), minlength=256)
        if (labels == IGNORE_ID).all():
            problems.append(f'{source.name(index)}: every pixel is void.')
        if index in shown:
            tiles.append(overlay(image, labels, source.labels))
            captions.append(Path(source.name(index).split()[0]).name)
    if isinstance(source, FilePairs):
        problems += problems_with_values(values, source)
    console = Console()
    console.print(_table(counts, source.labels))
    console.print(f'{len(source)} samples; sizes: {dict(sizes)}')
    for name, count in zip(source.labels.names, counts, strict=False):
        if not count:
            console.print(f'note: class {escape(repr(name))} does not occur.')
    for problem in problems:
        console.print(f'problem: {escape(problem)}')
    if sheet is not None and tiles:
        write_png(sheet, contact_sheet(tiles, captions))
    return 1 if problems else 0


def _table(counts: NDArray[np.int64], label_set: LabelSet) -> Table:
    table = Table('id', 'class', 'pixels', 'share')
    total = max(1, int(counts.sum()))
    unions = [' or '.join(union.classes) for union in label_set.unions]
    for index, name in enumerate((*label_set.names, *unions)):
        table.add_row(str(index), escape(name), str(counts[index]), f'{counts[index] / total:.4f}')
    void = counts[IGNORE_ID]
    table.add_row(str(IGNORE_ID), 'void', str(void), f'{void / total:.4f}')
    return table


def problems_with_values(values: Counter[SourceLabel], source: FilePairs) -> list[str]:
    """Say which values of the label files mean nothing, and what they may have meant.

    Args:
        values: Ids or colours of all label files, with their numbers of pixels.
        source: The split.
    """
    total = max(1, values.total())
    strange = {value: count for value, count in values.items() if not source.has_meaning(value)}
    problems = []
    if strange:
        named = sorted(strange, key=lambda value: -strange[value])[:_NAMED]
        listed = ', '.join(f'{value} ({strange[value] / total:.2%})' for value in named)
        more = f' and {len(strange) - _NAMED} more' if len(strange) > _NAMED else ''
        problems.append(
            f'label files hold values that no class has: {listed}{more}. '
            f'{_advice(values, source.labels)}'
        )
    elif set(values) == {0, IGNORE_ID} and source.has_meaning(1) and len(source.labels) > 1:
        name = source.labels.names[1]
        problems.append(
            f'label files hold only 0 and 255, and 255 means unlabelled. If it is {name!r} there, '
            f'give that class `source: 255`.'
        )
    return problems


def _advice(values: Counter[SourceLabel], label_set: LabelSet) -> str:
    ids = sorted(value for value in values if isinstance(value, int) and value != IGNORE_ID)
    if not ids:
        return (
            'Blended colours come from antialiasing or JPEG: save labels as PNG, drawn without '
            'antialiasing; or list colours that have no class as `ignored`.'
        )
    if ids[0] == 1 and ids[-1] == len(label_set):
        return 'Ids start at 1: give each class its id as `source`, or subtract 1.'
    return (
        'Give each class its values as `source` in the label set, or list those without a class '
        'as `ignored` in the data set.'
    )
