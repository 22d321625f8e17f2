# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks of a bag against true labels: pixels counted by class, and what could not be."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.metrics import confusion_matrix
from hyperseg_ros.bags.mask_stream import Ids
from hyperseg_ros.bags.mask_stream import MaskStream
from hyperseg_ros.bags.mask_stream import open_masks
from hyperseg_ros.bags.mask_stream import paired

_SHOWN = 10


class BagScore:
    """Counts pixels by true and predicted class, and ids that are no class."""

    def __init__(self, known: LabelSet) -> None:
        """Start with nothing.

        Args:
            known: The classes.
        """
        self._num_classes = len(known)
        # (N, N + 1), rows the truth, the last column what is no class.
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


def score_topics(
    score: BagScore, bag: Path, topic: str, truth_bag: Path, truth_topic: str
) -> list[str]:
    """Score the masks of a topic by another's labels with the same stamps.

    Returns:
        What could not be scored, a line each.

    Raises:
        InputError: If no mask has a truth.
    """
    with open_masks(bag, topic) as masks, open_masks(truth_bag, truth_topic) as truths:
        common = set(masks.stamps) & set(truths.stamps)
        _check_common(masks, truths, common)
        for _, mask, truth in paired(masks, truths, common):
            score.add(mask, truth)
        missing = len(masks.stamps) - len(common)
        lines = [f'{missing} masks have no truth with their stamp.'] if missing else []
        return lines + list(dict.fromkeys([*masks.losses(), *truths.losses()]))


def _check_common(masks: MaskStream, truths: MaskStream, common: set[int]) -> None:
    if not common:
        msg = (
            f'No mask has a truth with its stamp: those of {masks.topic} are '
            f'{min(masks.stamps)} to {max(masks.stamps)} ns, those of {truths.topic} '
            f'{min(truths.stamps)} to {max(truths.stamps)} ns.'
        )
        raise InputError(msg)
