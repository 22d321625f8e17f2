# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PASCAL VOC 2012 with the SBD's additional labels (`train_aug`), as PNGs of ids."""

from pathlib import Path

from hyperseg_core.data.datasets.camvid import check_pairs
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import Pair
from hyperseg_core.errors import InputError
from hyperseg_core.labels import load_labels


def voc(root: Path, split: str) -> FilePairs:
    """Open a split: `train`, `val` or `train_aug`.

    `root` is VOC2012 with JPEGImages/, ImageSets/Segmentation/SPLIT.txt, SegmentationClass/ and,
    for `train_aug`, SegmentationClassAug/ (SBD converted to PNG, as it is commonly shared).

    Raises:
        InputError: If a list, folder or file is missing.
    """
    listing = root / 'ImageSets' / 'Segmentation' / f'{split}.txt'
    if not listing.is_file():
        msg = f'{listing} is missing; VOC has the splits train and val, SBD adds train_aug.'
        raise InputError(msg)
    # Lines are names, or pairs of paths as some copies of train_aug have them.
    names = [Path(line.split()[0]).stem for line in listing.read_text().splitlines() if line]
    folder = root / ('SegmentationClassAug' if split == 'train_aug' else 'SegmentationClass')
    pairs = [Pair(root / 'JPEGImages' / f'{name}.jpg', folder / f'{name}.png') for name in names]
    check_pairs(pairs)
    return FilePairs(pairs, load_labels('voc'))
