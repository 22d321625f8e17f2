# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every data set is: a list of samples, each an image with its labels."""

from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
import io
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import read_header
from hyperseg_core.frames.images import read_rgb
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import SourceLabel

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]


class SegmentationData(Protocol):
    """A split of a data set."""

    labels: LabelSet

    def __len__(self) -> int:
        """Return the number of samples."""

    def name(self, index: int) -> str:
        """Return what an error message calls a sample: its files."""

    def load(self, index: int) -> tuple[Image, Labels]:
        """Return an image (H, W, 3) uint8 RGB and labels (H, W) uint8, 255 = ignored."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one sample."""

    image: Path
    labels: Path


class FilePairs:
    """A split whose samples are pairs of image and label files."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        labels: LabelSet,
        *,
        lookup: NDArray[np.uint8] | None = None,
        from_colours: bool = False,
        aspect: float | None = None,
        ignored: Collection[SourceLabel] | None = (),
    ) -> None:
        """Describe the split.

        Args:
            pairs: The files.
            labels: What the ids mean.
            lookup: Table from the files' ids to ours, (256,); None keeps ids below the number of
                classes and ignores the others.
            from_colours: Whether label files hold the label set's colours instead of ids.
            aspect: Width by height of what was photographed, where the files' sides are squeezed:
                images and labels are stretched to it along one side. None: they are not.
            ignored: Values of the label files, beside 255, that have no class on purpose; None:
                all that have none.
        """
        self.labels = labels
        self._ignored = ignored
        self.aspect = aspect
        self._pairs = tuple(pairs)
        keep = np.full(256, 255, np.uint8)
        known = len(labels) + len(labels.unions)
        keep[:known] = np.arange(known)
        self._lookup = keep if lookup is None or from_colours else lookup
        colours = labels.source_colours()
        self._colour_ids = list(colours.values())
        self._colour_keys = (
            _colour_keys(np.array(list(colours), np.uint8)) if from_colours else None
        )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._pairs)

    def name(self, index: int) -> str:
        """Return the sample's two file names."""
        pair = self._pairs[index]
        return f'{pair.image} with {pair.labels}'

    def pair(self, index: int) -> Pair:
        """Return the sample's files."""
        return self._pairs[index]

    def values(self, index: int) -> dict[SourceLabel, int]:
        """Return which ids or colours a label file holds, with their numbers of pixels.

        Raises:
            InputError: If the file cannot be read.
        """
        path = self._pairs[index].labels
        if self._colour_keys is None:
            found, counts = np.unique(read_ids(path), return_counts=True)
            return dict(zip(found.tolist(), counts.tolist(), strict=True))
        found, counts = np.unique(_colour_keys(read_rgb(path)), return_counts=True)
        colours = [(key >> 16, key >> 8 & 255, key & 255) for key in found.tolist()]
        return dict(zip(colours, counts.tolist(), strict=True))

    def has_meaning(self, value: SourceLabel) -> bool:
        """Tell whether a label file's value is a class, or ignored on purpose."""
        if self._ignored is None or value in self._ignored:
            return True
        if isinstance(value, int):
            return value == IGNORE_ID or self._lookup[value] != IGNORE_ID
        return value in self.labels.source_colours()

    def raw_labels(self, index: int) -> Labels:
        """Return the ids as the file has them, colours already turned into ids.

        Raises:
            InputError: If the file cannot be read.
        """
        path = self._pairs[index].labels
        if self._colour_keys is None:
            return read_ids(path)
        keys = _colour_keys(read_rgb(path))
        ids = np.full(keys.shape, 255, np.uint8)
        for class_id, key in zip(self._colour_ids, self._colour_keys, strict=True):
            ids[keys == key] = class_id
        return ids

    def load(self, index: int) -> tuple[Image, Labels]:
        """Read a sample.

        Raises:
            InputError: If a file cannot be read, or the two differ in size.
        """
        pair = self._pairs[index]
        image, labels = read_rgb(pair.image), self._lookup[self.raw_labels(index)]
        if image.shape[:2] != labels.shape:
            msg = (
                f'{pair.image} is {image.shape[0]} x {image.shape[1]} px but its labels '
                f'{pair.labels} are {labels.shape[0]} x {labels.shape[1]} px; they must be equal.'
            )
            raise InputError(msg)
        return (image, labels) if self.aspect is None else stretch(image, labels, self.aspect)


def stretch(image: Image, labels: Labels, aspect: float) -> tuple[Image, Labels]:
    """Stretch a squeezed image (H, W, 3) with its labels (H, W) to an aspect (width by height)."""
    height, width = labels.shape
    wide = (max(width, round(height * aspect)), max(height, round(width / aspect)))
    return (
        cv2.resize(image, wide, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False),
        cv2.resize(labels, wide, interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False),
    )


def _colour_keys(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Pack RGB, (..., 3), into one number per colour."""
    wide = colours.astype(np.uint32)
    return wide @ np.array((65536, 256, 1), np.uint32)


def read_ids(path: Path) -> Labels:
    """Read a picture of ids as (H, W) uint8.

    Palette images give their indices; 1-bit, 16-bit and RGB of three equal channels are taken for
    the ids that they hold.

    Raises:
        InputError: If it is missing, damaged, a colour image, or holds values above 255.
    """
    from PIL import Image as PillowImage

    try:
        data = path.read_bytes()
        header = read_header(data)
        # Pillow, because OpenCV turns palette images into colours.
        with PillowImage.open(io.BytesIO(data)) as file:
            if file.size != (header.width, header.height):
                msg = f'it says that it is {header.height} x {header.width} px, and otherwise.'
                raise InputError(msg)
            ids = np.asarray(file)
    except InputError as err:
        msg = f'Cannot read the label image {path}: {err}'
        raise InputError(msg) from err
    except Exception as err:  # of damaged files Pillow raises many kinds, bombs among them
        msg = f'Cannot read the label image {path} ({err!s:.200}).'
        raise InputError(msg) from err
    if ids.ndim == 3:
        grey = ids[..., :1] if ids.shape[2] < 3 else ids[..., :3]  # without alpha
        ids = grey[..., 0] if (grey == grey[..., :1]).all() else ids
    if ids.ndim != 2 or ids.dtype.kind not in 'bui':
        msg = (
            f'{path} has shape {ids.shape} and type {ids.dtype}, expected one channel of ids; '
            f'colour labels need `labels_are_colours: true`.'
        )
        raise InputError(msg)
    if ids.dtype.kind != 'b' and ids.size and (ids.max() > IGNORE_ID or ids.min() < 0):
        msg = (
            f'{path} holds values from {ids.min()} to {ids.max()}, but ids are 0 to 255; bring '
            f'them there, with 255 for pixels without a class.'
        )
        raise InputError(msg)
    return ids.astype(np.uint8, copy=False)
