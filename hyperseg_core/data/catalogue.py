# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data sets by name, and the mixture that a recipe trains on."""

from collections.abc import Callable
from dataclasses import dataclass
import os
from pathlib import Path
import re

from hyperseg_core.data.datasets.camvid import camvid
from hyperseg_core.data.datasets.cityscapes import cityscapes
from hyperseg_core.data.datasets.drive import DriveData
from hyperseg_core.data.datasets.folder import folder
from hyperseg_core.data.datasets.voc import voc
from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.errors import ConfigError
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """A split of a data set."""

    kind: str
    """camvid, cityscapes, voc, folder, drive, or a shipped description of a folder: streets."""
    split: str = 'train'
    root: str = '.'
    """The data set's folder; for folder, its YAML file; unused for drive. `$NAME` and `${NAME}`
    stand for environment variables."""
    share: float = 1.0
    """Weight among the sources of a mixture."""
    base_size: tuple[int, int] | None = None
    """Size that this source's images are brought to first [px]; null: the recipe's."""


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


def data_kinds() -> tuple[str, ...]:
    """Return the names of the kinds of data set, sorted."""
    return tuple(sorted({*_OPENERS, *resource_names('config', 'data', suffix='.yaml')}))


def open_data(source: SourceConfig) -> SegmentationData:
    """Open a split of a data set.

    Raises:
        ConfigError: If the kind is unknown, or the root names a variable that is not set.
        InputError: If its files are not as they should be, or the split is empty.
    """
    if source.kind in _OPENERS:
        root = Path('.') if source.kind == 'drive' else _root(source)
        return _OPENERS[source.kind](root, source.split)
    if source.kind not in data_kinds():
        msg = f'Unknown data set {source.kind!r}; known: {", ".join(data_kinds())}.'
        raise ConfigError(msg)
    description = resource('config', 'data', f'{source.kind}.yaml')
    return folder(description, source.split, _root(source))


def _root(source: SourceConfig) -> Path:
    """Return a source's folder, environment variables put in.

    Raises:
        ConfigError: If one is not set.
    """
    expanded = os.path.expandvars(source.root)
    unset = re.search(r'\$\{?(\w+)\}?', expanded)
    if unset:
        msg = (
            f'The folder of data set {source.kind!r} is {source.root!r}, but {unset[1]} is not '
            f'set: `export {unset[1]}=/path/to/{source.kind}`.'
        )
        raise ConfigError(msg)
    return Path(expanded).expanduser()
