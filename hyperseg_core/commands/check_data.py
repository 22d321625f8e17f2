# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg check-data`: would training go wrong on these files?"""

from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import overlay
from hyperseg_core.render import write_png

_SHOWN = 9


def check_data_command(
    data: str, root: str = '.', split: str = 'train', sheet: Path | None = None
) -> int:
    """Read every sample of a split and report what is in it; exit status 1 if any is bad.

    Args:
        data: camvid, cityscapes, voc, folder or drive.
        root: The data set's folder; for folder, its YAML.
        split: The split.
        sheet: Where to write a contact sheet of images with their labels.
    """
    source = open_data(SourceConfig(kind=data, split=split, root=root))
    counts = np.zeros(256, np.int64)
    sizes: Counter[tuple[int, ...]] = Counter()
    problems: list[str] = []
    shown = np.linspace(0, len(source) - 1, min(_SHOWN, len(source))).astype(int).tolist()
    tiles, captions = [], []
    for index in track(range(len(source)), description='reading'):
        try:
            image, labels = source.load(index)
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
    console = Console()
    table = Table('id', 'class', 'pixels', 'share')
    for index, name in enumerate(source.labels.names):
        table.add_row(str(index), name, str(counts[index]), f'{counts[index] / counts.sum():.4f}')
    table.add_row(str(IGNORE_ID), 'void', str(counts[255]), f'{counts[255] / counts.sum():.4f}')
    console.print(table)
    console.print(f'{len(source)} samples; sizes: {dict(sizes)}')
    for name in np.array(source.labels.names)[counts[: len(source.labels)] == 0]:
        console.print(f'note: class {name!r} does not occur.')
    for problem in problems:
        console.print(f'problem: {problem}')
    if sheet is not None and tiles:
        write_png(sheet, contact_sheet(tiles, captions))
    return 1 if problems else 0
