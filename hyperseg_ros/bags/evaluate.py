# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag evaluate`: masks in a bag against the truth."""

from collections import Counter
from collections.abc import Iterator
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyperseg_core.data.pairs import read_ids
from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_ros.bags.mask_stream import Ids
from hyperseg_ros.bags.mask_stream import MaskStream
from hyperseg_ros.bags.mask_stream import mask_topics
from hyperseg_ros.bags.mask_stream import open_masks
from hyperseg_ros.bags.mask_stream import paired

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
    score = _Score(known)
    folder = Path(labels)
    with contextlib.ExitStack() as stack:
        masks = stack.enter_context(open_masks(bag, topic))
        if folder.is_dir():
            for pair in _with_files(masks, folder):
                score.add(*pair)
            lines = masks.losses()
        else:
            truths = stack.enter_context(open_masks(truth_bag or bag, labels))
            common = set(masks.stamps) & set(truths.stamps)
            _check_common(masks, truths, common)
            for _, mask, truth in paired(masks, truths, common):
                score.add(mask, truth)
            missing = len(masks.stamps) - len(common)
            lines = [f'{missing} masks have no truth with their stamp.'] if missing else []
            lines += list(dict.fromkeys([*masks.losses(), *truths.losses()]))
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


def _check_common(masks: MaskStream, truths: MaskStream, common: set[int]) -> None:
    if not common:
        msg = (
            f'No mask has a truth with its stamp: those of {masks.topic} are '
            f'{min(masks.stamps)} to {max(masks.stamps)} ns, those of {truths.topic} '
            f'{min(truths.stamps)} to {max(truths.stamps)} ns.'
        )
        raise InputError(msg)


class _Score:
    """Counts pixels by true and predicted class, and ids that are no class."""

    def __init__(self, known: LabelSet) -> None:
        self._num_classes = len(known)
        self.confusion = np.zeros((len(known), len(known) + 1), np.int64)
        self.num_pairs = 0
        self._unknown: dict[str, Counter[int]] = {'truth': Counter(), 'masks': Counter()}

    def add(self, mask: Ids, truth: Ids) -> None:
        """Count a pair.

        Raises:
            InputError: If their sizes differ.
        """
        if mask.shape != truth.shape:
            msg = f'A mask is {mask.shape} px but its truth is {truth.shape} px.'
            raise InputError(msg)
        self.num_pairs += 1
        true_ids, predicted = self._plain(truth, 'truth'), self._plain(mask, 'masks')
        self.confusion += confusion_matrix(true_ids, predicted, self._num_classes)

    def _plain(self, ids: Ids, where: str) -> NDArray[np.uint8]:
        """Return ids as uint8; those of no class are counted and become unlabelled."""
        is_unknown = ((ids < 0) | (ids >= self._num_classes)) & (ids != IGNORE_ID)
        if is_unknown.any():
            values, counts = np.unique(ids[is_unknown], return_counts=True)
            self._unknown[where].update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            ids = np.where(is_unknown, IGNORE_ID, ids)
        return ids.astype(np.uint8, copy=False)

    def unknown_ids(self) -> list[str]:
        """Say which ids are beyond the label set, a line each for truth and masks."""
        lines = []
        for where, counts in self._unknown.items():
            shown = [f'{value} ({count} px)' for value, count in counts.most_common(_SHOWN)]
            if len(counts) > _SHOWN:
                shown.append(f'{len(counts) - _SHOWN} more')
            if shown:
                lines.append(
                    f'The {where} hold ids that are none of the {self._num_classes} classes, '
                    f'taken as unlabelled: {", ".join(shown)}. Is it another --label-set?'
                )
        return lines


def _print(score: _Score, known: LabelSet, lines: list[str]) -> None:
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
