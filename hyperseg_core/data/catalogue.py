# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data sets by name, and the mixture that a recipe trains on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hyperseg_core.data.camvid import camvid
from hyperseg_core.data.cityscapes import cityscapes
from hyperseg_core.data.drive.dataset import DriveData
from hyperseg_core.data.folder import folder
from hyperseg_core.data.samples import SegmentationData
from hyperseg_core.data.voc import voc
from hyperseg_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A split of a data set."""

    kind: str
    """camvid, cityscapes, voc, folder or drive."""
    split: str = 'train'
    root: str = '.'
    """The data set's folder; for folder, its YAML file; unused for drive."""
    share: float = 1.0
    """Weight among the sources of a mixture."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is trained and validated on."""

    train: tuple[SourceConfig, ...]
    val: SourceConfig | None = None
    """Split that chooses the best checkpoint; null: none is chosen."""


_OPENERS: dict[str, Callable[[Path, str], SegmentationData]] = {
    'camvid': camvid,
    'cityscapes': cityscapes,
    'folder': folder,
    'voc': voc,
    'drive': lambda _root, split: DriveData(split),
}


def open_data(source: SourceConfig) -> SegmentationData:
    """Open a split of a data set.

    Raises:
        ConfigError: If the kind is unknown.
        InputError: If its files are not as they should be, or the split is empty.
    """
    if source.kind not in _OPENERS:
        msg = f'Unknown data set {source.kind!r}; known: {", ".join(sorted(_OPENERS))}.'
        raise ConfigError(msg)
    return _OPENERS[source.kind](Path(source.root).expanduser(), source.split)
