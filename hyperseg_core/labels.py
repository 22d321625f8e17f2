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
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.files.typed_yaml import read_yaml
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names

IGNORE_ID = 255
"""Unlabelled: the value that vision_msgs/LabelInfo reserves for uint8 masks."""

SourceLabel = int | tuple[int, int, int]
"""What stands in a data set's own label files: an id, or a colour (RGB)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelClass:
    """One class."""

    name: str
    colour: tuple[int, int, int]
    """RGB, 0 to 255."""
    source: tuple[SourceLabel, ...] | None = None
    """Its ids or colours in the data set's own label files, where they differ; many may be one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelUnion:
    """What a coarser data set knows of a pixel: that it is one of some classes."""

    classes: tuple[str, ...]
    source: tuple[SourceLabel, ...]
    """Ids or colours in the data set's own label files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSet:
    """The classes of a data set, in the order of their ids."""

    name: str
    classes: tuple[LabelClass, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Names of groups of classes: `drivable`, `vulnerable`, `obstacle`."""
    unions: tuple[LabelUnion, ...] = ()
    """Labels of the data set that stand for one of several classes; truth only, never predicted.
    Loaded labels have the ids after the classes' for them."""

    def __post_init__(self) -> None:
        """Check that names are unique, colours are bytes, and groups and unions name classes.

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
        self._check_sources()

    def _check_sources(self) -> None:
        """Check that unions name classes, and that nothing in label files means two things."""
        if len(self) + len(self.unions) > IGNORE_ID:
            msg = f'Label set {self.name!r} has more than {IGNORE_ID} classes and unions.'
            raise ConfigError(msg)
        for union in self.unions:
            unknown = [name for name in union.classes if name not in self.names]
            if unknown or len(union.classes) < 2:
                msg = (
                    f'A union of label set {self.name!r} names {list(union.classes)}; it needs '
                    f'two or more of the classes: {", ".join(self.names)}.'
                )
                raise ConfigError(msg)
        owners: dict[SourceLabel, str] = {}
        for meaning, sources in self._sources():
            for source in sources:
                if source in owners:
                    msg = (
                        f'Label set {self.name!r} maps {source} of the data set to '
                        f'{owners[source]!r} and to {meaning!r}; it can mean only one of them.'
                    )
                    raise ConfigError(msg)
                owners[source] = meaning

    def _sources(self) -> list[tuple[str, tuple[SourceLabel, ...]]]:
        """Return what each id, those of the unions last, is in the data set's own files."""
        classes = [
            (item.name, (index,) if item.source is None else item.source)
            for index, item in enumerate(self.classes)
        ]
        return classes + [(' or '.join(item.classes), item.source) for item in self.unions]

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
        for index, (_, sources) in enumerate(self._sources()):
            table[[source for source in sources if isinstance(source, int)]] = index
        return table

    def source_colours(self) -> dict[tuple[int, int, int], int]:
        """Return our id of each colour in the data set's own files: the classes' and `source`."""
        ids = {item.colour: index for index, item in enumerate(self.classes)}
        for index, (_, sources) in enumerate(self._sources()):
            ids |= {source: index for source in sources if not isinstance(source, int)}
        return ids

    def union_members(self) -> NDArray[np.bool_]:
        """Return which classes each union stands for, (number of unions, number of classes)."""
        members = np.zeros((len(self.unions), len(self)), np.bool_)
        for row, union in zip(members, self.unions, strict=True):
            row[[self.names.index(name) for name in union.classes]] = True
        return members

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` reads back."""
        classes = [
            {'name': item.name, 'colour': list(item.colour)}
            | ({} if item.source is None else {'source': _plain_source(item.source)})
            for item in self.classes
        ]
        groups = {group: list(members) for group, members in self.groups.items()}
        unions = [
            {'classes': list(item.classes), 'source': _plain_source(item.source)}
            for item in self.unions
        ]
        plain = {'name': self.name, 'classes': classes, 'groups': groups}
        return plain | ({'unions': unions} if unions else {})

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
        unknown = set(data) - {'name', 'classes', 'groups', 'unions'}
        lists: list[Any] = [data.get('classes'), data.get('unions') or []]
        if missing or unknown or not all(isinstance(item, list) for item in lists):
            msg = (
                f'{origin} needs `name` and a list `classes`, and may have `groups` and a list '
                f'`unions`.'
            )
            raise ConfigError(msg)
        classes, unions = (
            tuple(
                build_dataclass(
                    kind, _with_source(item, origin), origin=origin, prefix=f'{key}.{index}.'
                )
                for index, item in enumerate(items)
            )
            for key, kind, items in zip(
                ('classes', 'unions'), (LabelClass, LabelUnion), lists, strict=True
            )
        )
        groups = _groups(data.get('groups') or {}, origin)
        return LabelSet(name=str(data['name']), classes=classes, groups=groups, unions=unions)


def _groups(data: object, origin: str) -> dict[str, tuple[str, ...]]:
    """Check that groups are lists of names.

    Raises:
        ConfigError: If not.
    """
    if not isinstance(data, Mapping) or not all(isinstance(v, list) for v in data.values()):
        msg = f'{origin}: `groups` must be a mapping of names to lists of classes.'
        raise ConfigError(msg)
    return {str(name): tuple(map(str, members)) for name, members in data.items()}


def _plain_source(sources: tuple[SourceLabel, ...]) -> object:
    plain = [item if isinstance(item, int) else list(item) for item in sources]
    return plain[0] if len(plain) == 1 and isinstance(plain[0], int) else plain


def _with_source(item: object, origin: str) -> object:
    """Bring `source` of a class, an id or a list of ids and colours, to a tuple."""
    if not isinstance(item, Mapping) or item.get('source') is None:
        return item
    name = item.get('name', item.get('classes'))
    return {**item, 'source': as_sources(item['source'], f'{origin}: `source` of {name!r}')}


def as_sources(source: object, origin: str) -> tuple[SourceLabel, ...]:
    """Check what stands in label files: an id, or a list of ids and colours.

    Raises:
        ConfigError: If it is neither.
    """
    found: tuple[Any, ...] = tuple(
        tuple(entry) if isinstance(entry, list) else entry
        for entry in (source if isinstance(source, list) else [source])
    )
    if not all(_is_byte(entry) or _is_colour(entry) for entry in found):
        msg = (
            f'{origin} is {source!r:.80}, expected an id from 0 to 255, or a list of ids and '
            f'colours ([R, G, B]).'
        )
        raise ConfigError(msg)
    return found


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= IGNORE_ID


def _is_colour(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_is_byte, value))


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
