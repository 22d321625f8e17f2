# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML as plain data, and plain data as frozen dataclasses."""

from collections.abc import Mapping
import dataclasses
import functools
from pathlib import Path
import reprlib
import types
import typing
from typing import Any
from typing import Literal

import yaml

from hyperseg_core.errors import ConfigError

_MAX_BYTES = 4 << 20


def read_yaml(path: Path) -> Any:
    """Read a YAML file as plain data; nothing in it is run.

    Raises:
        ConfigError: If it is not valid YAML in UTF-8, or longer than any configuration.
        OSError: If it cannot be read.
    """
    if path.stat().st_size > _MAX_BYTES:
        msg = f'{path} has {path.stat().st_size} bytes; a configuration has at most {_MAX_BYTES}.'
        raise ConfigError(msg)
    try:
        return yaml.load(path.read_text(encoding='utf-8'), _Loader)
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError) as err:
        # Beside its own errors PyYAML lets those of dates, keys and depth through.
        reason = ' '.join(str(err).split())[:200] or type(err).__name__
        msg = f'{path} is not valid YAML: {reason}.'
        raise ConfigError(msg) from err


class _Loader(yaml.SafeLoader):
    """Plain data without aliases, by which a small file would unfold to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias."""
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, f'aliases (*{event.anchor}) are not read', event.start_mark
            )
        return super().compose_node(parent, index)


def build_dataclass(cls: type, data: object, *, origin: str, prefix: str = '') -> Any:
    """Build a frozen dataclass, and those nested in it, from plain data.

    Raises:
        ConfigError: For an unknown or missing key or a wrong type, with its dotted name.
    """
    if not isinstance(data, Mapping):
        msg = f'{origin}: {prefix or "the file"} must be a mapping, not {type(data).__name__}.'
        raise ConfigError(msg)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            known = ', '.join(fields)
            msg = f'{origin}: unknown key {reprlib.repr(prefix + str(key))}; known: {known}.'
            raise ConfigError(msg)
    hints = _type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _convert(hints[name], data[name], origin, prefix + name)
        elif field.default is dataclasses.MISSING and (
            field.default_factory is dataclasses.MISSING
        ):
            msg = f'{origin}: key {prefix + name!r} is missing.'
            raise ConfigError(msg)
    return cls(**values)


_MAX_NUMBER = 1e18


@functools.cache
def _type_hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _convert(hint: Any, value: Any, origin: str, name: str) -> Any:
    """Check one value against its annotation; lists become tuples, integers floats."""
    arguments = typing.get_args(hint)
    kind = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return build_dataclass(typing.cast('type', hint), value, origin=origin, prefix=f'{name}.')
    if kind in {types.UnionType, typing.Union}:
        if value is None and type(None) in arguments:
            return None
        rest = [argument for argument in arguments if argument is not type(None)]
        fits = [item for item in rest if isinstance(item, type) and type(value) is item]
        return _convert((fits or rest[-1:])[0], value, origin, name)
    if kind is tuple and isinstance(value, list | tuple):
        if arguments[-1] is not Ellipsis and len(arguments) != len(value):
            msg = f'{origin}: {name!r} has {len(value)} items but needs {len(arguments)}.'
            raise ConfigError(msg)
        return tuple(_convert(arguments[0], item, origin, name) for item in value)
    if kind is Literal and value in arguments:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) < _MAX_NUMBER:
            return float(value)
    elif isinstance(hint, type) and isinstance(value, hint):
        # True is an int to Python, and to nobody else; numbers beyond any use are refused here.
        is_odd = isinstance(value, bool) if hint is int else False
        if not is_odd and not (isinstance(value, int) and abs(value) >= _MAX_NUMBER):
            return value
    expected = ' | '.join(map(repr, arguments)) if kind is Literal else str(hint)
    msg = f'{origin}: {name!r} is {reprlib.repr(value)}, expected {expected}.'
    raise ConfigError(msg)
