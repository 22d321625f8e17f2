# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the formats have in common: frames go out to be corrected, images with ids come back."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
import yaml

from hyperseg_core.errors import InputError
from hyperseg_core.frames.images import read_rgb
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels

Ids = NDArray[np.uint8]
FormatName = Literal['cityscapes', 'coco', 'cvat']
LABELS_FILE = 'labels.yaml'
"""Beside what is exported: what the ids mean."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame to be corrected."""

    bag: str
    """Safe name of the bag that it comes from."""
    name: str
    """Safe name of the frame, without ending."""
    image: bytes
    """The picture's file."""
    ending: str
    """The file's ending, with its dot."""
    ids: Ids
    """(H, W), 255 = unlabelled."""


class AnnotationWriter(Protocol):
    """Writes frames in a tool's format into an empty folder."""

    def add(self, frame: Frame) -> str:
        """Write a frame; return its image's place in the folder."""

    def finish(self) -> None:
        """Write what comes last."""


class AnnotationReader(Protocol):
    """Reads what a tool exported."""

    problems: list[str]
    """What could not be read so far, a line each."""

    def __iter__(self) -> Iterator[tuple[Path, str, Ids]]:
        """Give every image's file, its name among the others, and its ids (H, W)."""


def write_labels(folder: Path, label_set: LabelSet) -> None:
    """Write what the ids mean into a folder.

    `source`, which tells ids of a data set's own files from ours, goes along.
    """
    text = yaml.safe_dump(label_set.to_dict(), sort_keys=False, allow_unicode=True)
    (folder / LABELS_FILE).write_text(text, encoding='utf-8')


def find_labels(label_set: str | None, folder: Path) -> LabelSet:
    """Read a label set by name or path, or the one that lies beside what was exported.

    Raises:
        ConfigError: If it cannot be read.
        InputError: If none is named and none is there.
    """
    if label_set is not None:
        return load_labels(label_set)
    if not (folder / LABELS_FILE).is_file():
        msg = (
            f'{folder} has no {LABELS_FILE}; name the folder that `bag export` wrote (--exported) '
            f'or a label set (--label-set camvid, or a YAML file).'
        )
        raise InputError(msg)
    return load_labels(folder / LABELS_FILE)


def class_id(label_set: LabelSet, name: object, where: str) -> int:
    """Return the id of a class by its name.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in label_set.names:
        msg = (
            f'{where} has the label {name!r:.80}, which is none of the label set '
            f'{label_set.name!r}: {", ".join(label_set.names)}. Rename it, or give another '
            f'--label-set.'
        )
        raise InputError(msg)
    return label_set.names.index(str(name))


def empty_ids(image: Path, told: tuple[object, object]) -> Ids:
    """Return unlabelled ids of an image's size (H, W).

    Args:
        image: The file, which is decoded: one that is damaged is no use for training.
        told: Height and width that the annotations say [px].

    Raises:
        InputError: If the image cannot be read or has another size.
    """
    height, width = read_rgb(image).shape[:2]
    if told != (height, width):
        msg = (
            f'{image} is {height} x {width} px, but was annotated as {told[0]!r:.20} x '
            f'{told[1]!r:.20} px; give the images that were annotated.'
        )
        raise InputError(msg)
    return np.full((height, width), 255, np.uint8)


def check_file_size(path: Path, limit: int = 1 << 30) -> None:
    """Refuse a file that is longer than any annotations.

    Raises:
        InputError: If it is.
        FileNotFoundError: If it is not there.
    """
    if not path.is_file():
        msg = f'There is no file {path}.'
        raise FileNotFoundError(msg)
    size = path.stat().st_size
    if size > limit:
        msg = f'{path} has {size} bytes; at most {limit} are read. Export it in parts.'
        raise InputError(msg)
