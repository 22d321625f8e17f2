# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tree of Cityscapes: leftImg8bit and gtFine, the bag as the city.

Label files hold what the label set calls `source`, as Cityscapes' own do (0 = unlabelled), so
that its tools and `data: cityscapes` read them. Label sets without such ids have ours, and 255 is
unlabelled.
"""

from collections.abc import Iterator
import dataclasses
from pathlib import Path

import numpy as np

from hyperseg_core.annotation.formats import Frame
from hyperseg_core.annotation.formats import Ids
from hyperseg_core.annotation.formats import write_labels
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import Pair
from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.render import colourise
from hyperseg_core.render import write_png

_IMAGE, _LABELS, _COLOUR = '_leftImg8bit', '_gtFine_labelIds.png', '_gtFine_color.png'
_SPLIT = 'train'


class CityscapesWriter:
    """Writes the tree; see the module."""

    def __init__(self, folder: Path, label_set: LabelSet) -> None:
        """Begin in an empty folder."""
        self._folder = folder
        self._label_set = with_own_ids(label_set)
        self._table = _source_ids(self._label_set)
        write_labels(folder, self._label_set)

    def add(self, frame: Frame) -> str:
        """Write image, label ids, and colours to look at."""
        place = Path('leftImg8bit', _SPLIT, frame.bag, f'{frame.name}{_IMAGE}{frame.ending}')
        labels = self._folder / 'gtFine' / _SPLIT / frame.bag
        for parent in ((self._folder / place).parent, labels):
            parent.mkdir(parents=True, exist_ok=True)
        (self._folder / place).write_bytes(frame.image)
        write_png(labels / f'{frame.name}{_LABELS}', self._table[frame.ids])
        write_png(labels / f'{frame.name}{_COLOUR}', colourise(frame.ids, self._label_set))
        return place.as_posix()

    def finish(self) -> None:
        """All is written."""


def with_own_ids(label_set: LabelSet) -> LabelSet:
    """Return a label set without `source`, unless every class has an id of its own there."""
    sources = [item.source for item in label_set.classes]
    if all(any(isinstance(s, int) for s in source or ()) for source in sources):
        return label_set
    classes = tuple(dataclasses.replace(item, source=None) for item in label_set.classes)
    return dataclasses.replace(label_set, classes=classes, unions=())


def _source_ids(label_set: LabelSet) -> Ids:
    """Return the table from our ids to those in label files, (256,)."""
    if label_set.classes[0].source is None:
        return np.arange(256, dtype=np.uint8)
    lookup = label_set.source_lookup()
    table = np.full(256, np.flatnonzero(lookup == IGNORE_ID)[0], np.uint8)  # 0 in Cityscapes
    for index, item in enumerate(label_set.classes):
        table[index] = next(source for source in item.source or () if isinstance(source, int))
    return table


class CityscapesReader:
    """Reads a tree back."""

    def __init__(self, folder: Path, label_set: LabelSet) -> None:
        """Find the images.

        Raises:
            InputError: If there is none.
        """
        self.problems: list[str] = []
        self._root = folder / 'leftImg8bit'
        self._images = sorted(self._root.glob(f'*/*/*{_IMAGE}.*'))
        if not self._images:
            msg = f'No */*/*{_IMAGE}.png in {self._root}; give the folder that holds leftImg8bit/.'
            raise InputError(msg)
        plain = with_own_ids(label_set)
        has_source = plain.classes[0].source is not None
        pairs = [Pair(image, self._labels(folder, image)) for image in self._images]
        self._pairs = FilePairs(
            pairs, plain, lookup=plain.source_lookup() if has_source else None,
            ignored=None if has_source else (),
        )  # fmt: skip

    def _labels(self, folder: Path, image: Path) -> Path:
        split, city = image.parent.relative_to(self._root).parts
        return folder / 'gtFine' / split / city / f'{image.stem.removesuffix(_IMAGE)}{_LABELS}'

    def __iter__(self) -> Iterator[tuple[Path, str, Ids]]:
        """Give the pairs; what cannot be read is a problem."""
        for index, image in enumerate(self._images):
            try:
                values = self._pairs.values(index)
                odd = [value for value in values if not self._pairs.has_meaning(value)]
                if odd:
                    pair = self._pairs.pair(index)
                    self.problems.append(
                        f'{pair.labels}: the ids {odd} are none of the {len(self._pairs.labels)} '
                        f'classes; they are taken as unlabelled.'
                    )
                _, ids = self._pairs.load(index)
            except InputError as error:
                self.problems.append(str(error))
                continue
            yield image, f'{image.stem.removesuffix(_IMAGE)}{image.suffix}', ids
