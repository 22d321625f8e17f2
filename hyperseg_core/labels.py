# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Label sets: what the ids of a label image mean, with colours and groups."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import build_dataclass
from hyperseg_core.resources import read_yaml
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names

IGNORE_ID = 255
"""Unlabelled: the value that vision_msgs/LabelInfo reserves for uint8 masks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelClass:
    """One class."""

    name: str
    colour: tuple[int, int, int]
    """RGB, 0 to 255."""
    source: int | None = None
    """Its id in the data set's own label files, where that differs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSet:
    """The classes of a data set, in the order of their ids."""

    name: str
    classes: tuple[LabelClass, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Names of groups of classes: `drivable`, `vulnerable`, `obstacle`."""

    def __post_init__(self) -> None:
        """Check that names are unique, colours are bytes and groups name classes.

        Raises:
            ConfigError: If not.
        """
        names = self.names
        if not 0 < len(names) < IGNORE_ID or len(set(names)) != len(names):
            msg = f'Label set {self.name!r} needs 1 to 254 classes with different names.'
            raise ConfigError(msg)
        for item in self.classes:
            if not all(0 <= value <= IGNORE_ID for value in item.colour):
                msg = f'Colour {item.colour} of class {item.name!r} must lie in 0 to 255.'
                raise ConfigError(msg)
        for group, members in self.groups.items():
            unknown = [member for member in members if member not in names]
            if unknown:
                msg = (
                    f'Group {group!r} of label set {self.name!r} names {unknown[0]!r}; the '
                    f'classes are: {", ".join(names)}.'
                )
                raise ConfigError(msg)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, by id."""
        return tuple(item.name for item in self.classes)

    def palette(self) -> NDArray[np.uint8]:
        """Return the colour of every id, (256, 3) uint8 RGB; ids without a class are black."""
        colours = np.zeros((256, 3), np.uint8)
        colours[: len(self)] = [item.colour for item in self.classes]
        return colours

    def ids(self, names: tuple[str, ...] | list[str]) -> tuple[int, ...]:
        """Return the ids of classes or groups given by name.

        Raises:
            ConfigError: If a name is neither.
        """
        found: list[int] = []
        for name in names:
            if name not in self.names and name not in self.groups:
                msg = (
                    f'No class or group {name!r} in label set {self.name!r}; classes: '
                    f'{", ".join(self.names)}; groups: {", ".join(self.groups)}.'
                )
                raise ConfigError(msg)
            found += [self.names.index(item) for item in self.groups.get(name, (name,))]
        return tuple(sorted(set(found)))

    def source_lookup(self) -> NDArray[np.uint8]:
        """Return the table from the data set's own ids to ours, (256,); the rest is 255."""
        table = np.full(256, IGNORE_ID, np.uint8)
        for index, item in enumerate(self.classes):
            table[index if item.source is None else item.source] = index
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` reads back."""
        classes = [
            {'name': item.name, 'colour': list(item.colour)}
            | ({} if item.source is None else {'source': item.source})
            for item in self.classes
        ]
        groups = {group: list(members) for group, members in self.groups.items()}
        return {'name': self.name, 'classes': classes, 'groups': groups}

    @staticmethod
    def from_dict(data: object, *, origin: str = 'label set') -> 'LabelSet':
        """Build a label set from plain data.

        Raises:
            ConfigError: If a key is missing or unknown, or a value does not fit.
        """
        if not isinstance(data, Mapping):
            msg = f'{origin} must be a mapping, not {type(data).__name__}.'
            raise ConfigError(msg)
        missing = {'name', 'classes'} - set(data)
        unknown = set(data) - {'name', 'classes', 'groups'}
        if missing or unknown or not isinstance(data['classes'], list):
            msg = f'{origin} needs `name` and a list `classes`, and may have `groups`.'
            raise ConfigError(msg)
        classes = tuple(
            build_dataclass(LabelClass, item, origin=origin, prefix=f'classes.{index}.')
            for index, item in enumerate(data['classes'])
        )
        groups = {str(k): tuple(map(str, v)) for k, v in dict(data.get('groups') or {}).items()}
        return LabelSet(name=str(data['name']), classes=classes, groups=groups)


def load_labels(name_or_path: str | Path) -> LabelSet:
    """Read a shipped label set by name, or a YAML by path.

    Raises:
        ConfigError: If there is none, or its content does not fit.
    """
    path = Path(name_or_path)
    if path.suffix not in {'.yaml', '.yml'}:
        known = resource_names('config', 'labels', suffix='.yaml')
        if str(name_or_path) not in known:
            msg = (
                f'Unknown label set {str(name_or_path)!r}; known: {", ".join(known)}. For your '
                f'own, give the path of its YAML file.'
            )
            raise ConfigError(msg)
        path = resource('config', 'labels', f'{name_or_path}.yaml')
    data = read_yaml(path)
    return LabelSet.from_dict(data, origin=str(path))
