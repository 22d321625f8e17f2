# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cityscapes: leftImg8bit with gtFine, 34 label ids mapped to the benchmark's 19 classes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.data.datasets.camvid import check_pairs
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import Pair
from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels

_SPLITS = ('train', 'val', 'test')


def cityscapes(root: Path, split: str) -> FilePairs:
    """Open a split; `train+val` joins two.

    Raises:
        InputError: If the folders are not there, the split is unknown or empty, or a label file
            is missing.
    """
    pairs: list[Pair] = []
    for name in split.split('+'):
        if name not in _SPLITS:
            msg = f'Cityscapes has no split {name!r}; known: {", ".join(_SPLITS)}.'
            raise InputError(msg)
        folder = root / 'leftImg8bit' / name
        images = sorted(folder.glob('*/*_leftImg8bit.png'))
        if not images:
            msg = f'No */*_leftImg8bit.png in {folder}; give the folder that holds leftImg8bit/.'
            raise InputError(msg)
        for image in images:
            stem = image.name.removesuffix('_leftImg8bit.png')
            labels = root / 'gtFine' / name / image.parent.name / f'{stem}_gtFine_labelIds.png'
            pairs.append(Pair(image, labels))
    check_pairs(pairs)
    label_set = load_labels('cityscapes')
    return FilePairs(pairs, label_set, lookup=label_set.source_lookup(), ignored=None)


def submission_name(image: Path) -> str:
    """Return the file name under which the benchmark's server finds an image's result."""
    return f'{image.stem.removesuffix("_leftImg8bit")}_pred_labelIds.png'


def submission_ids(ids: NDArray[np.uint8], labels: LabelSet) -> NDArray[np.uint8]:
    """Turn our ids (H, W) into the benchmark's label ids; 255 becomes 0, unlabelled there."""
    table = np.zeros(IGNORE_ID + 1, np.uint8)
    for source_id, class_id in enumerate(labels.source_lookup()):
        if class_id != IGNORE_ID:
            table[class_id] = source_id
    return table[ids]
