# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag evaluate`: masks in a bag against the truth."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyperseg_core.data.pairs import read_ids
from hyperseg_core.errors import InputError
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.metrics import Scores
from hyperseg_ros.bags.mask_stream import Ids
from hyperseg_ros.bags.mask_stream import MaskStream
from hyperseg_ros.bags.mask_stream import mask_topics
from hyperseg_ros.bags.mask_stream import open_masks
from hyperseg_ros.bags.scoring import BagScore
from hyperseg_ros.bags.scoring import score_topics

_SHOWN = 10


def bag_evaluate_command(
    bag: Path,
    labels: str,
    topic: str | None = None,
    truth_bag: Path | None = None,
    label_set: str = 'camvid',
) -> int:
    """Score masks in a bag; exit status 1 if some could not be scored, or hold unknown ids.

    Args:
        bag: A labelled bag.
        labels: A topic with true ids, or a folder of PNGs in the order of the masks.
        topic: Topic of the masks; the only one by default.
        truth_bag: Bag with the topic of true ids; the labelled one by default.
        label_set: Name or YAML of the label set.
    """
    known = load_labels(label_set)
    topic = topic or _only(mask_topics(bag), bag)
    score = BagScore(known)
    folder = Path(labels)
    if folder.is_dir():
        with open_masks(bag, topic) as masks:
            for pair in _with_files(masks, folder):
                score.add(*pair)
            lines = masks.losses()
    else:
        lines = score_topics(score, bag, topic, truth_bag or bag, labels)
    if not score.num_pairs:
        msg = ' '.join([f'No mask of {topic} could be scored.', *lines[:_SHOWN]])
        raise InputError(msg)
    lines += score.unknown_ids()
    _print(score, known, lines)
    return 1 if lines else 0


def _only(topics: list[str], bag: Path) -> str:
    if len(topics) != 1:
        msg = f'{bag} has {len(topics)} topics of masks ({", ".join(topics)}); name one: --topic.'
        raise InputError(msg)
    return topics[0]


def _with_files(masks: MaskStream, folder: Path) -> Iterator[tuple[Ids, NDArray[np.uint8]]]:
    """Pair masks with the files of a folder by their order.

    Raises:
        InputError: If there are not as many of one as of the other.
    """
    files = sorted(path for path in folder.glob('*.png') if not path.name.startswith('.'))
    if len(files) != len(masks.stamps):
        msg = (
            f'{folder} has {len(files)} PNG files but {masks.topic} {len(masks.stamps)} masks; '
            f'they are paired by their order, so there must be as many.'
        )
        raise InputError(msg)
    for (_, message), path in zip(masks.messages(set(masks.stamps)), files, strict=True):
        ids = masks.ids(message)
        if ids is not None:
            yield ids, read_ids(path)


def _print(score: BagScore, known: LabelSet, lines: list[str]) -> None:
    console = Console()
    scores = Scores.from_confusion(score.confusion)
    table: Any = Table('class', 'IoU')
    for name, iou in zip(known.names, scores.per_class_iou, strict=True):
        table.add_row(Text(name), f'{iou:.4f}')
    table.add_row('mean', f'{scores.mean_iou:.4f}')
    console.print(table)
    for line in lines[:_SHOWN]:
        console.print(line, markup=False, highlight=False)
    if len(lines) > _SHOWN:
        console.print(f'and {len(lines) - _SHOWN} more problems.')
