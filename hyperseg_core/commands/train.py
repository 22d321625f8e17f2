# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg train`: a recipe in YAML, any of its keys on the command line."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from typing import Any

from cyclopts import Parameter
import yaml

from hyperseg_core.errors import ConfigError
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.files.typed_yaml import read_yaml


def train_command(
    *changes: Annotated[str, Parameter(allow_leading_hyphen=True)],
    config: Path,
    resume: bool = False,
) -> int:
    """Run a recipe and export the weights when it is done.

    Args:
        changes: Keys of the recipe with other values: `--trainer.epochs 3`, or a whole part as
            JSON: `--data '{"train": [{"kind": "folder", "root": "my.yaml"}]}'`.
        config: The recipe, a YAML file.
        resume: Go on from last.ckpt in the output folder.
    """
    from hyperseg_core.training.config import TrainConfig
    from hyperseg_core.training.export import export_run
    from hyperseg_core.training.run import train

    data = read_yaml(config)
    if not isinstance(data, dict):
        msg = f'{config} must hold a mapping, the recipe, not {type(data).__name__}.'
        raise ConfigError(msg)
    recipe: TrainConfig = build_dataclass(TrainConfig, changed(data, changes), origin=str(config))
    plain = yaml.safe_dump(_plain(asdict(recipe)), sort_keys=False)
    resolved = Path(recipe.output) / 'config.yaml'
    if resolved.resolve() == config.resolve():
        msg = (
            f'The resolved recipe would be written over {config}; give another `--output`, or '
            f'another name to the recipe.'
        )
        raise ConfigError(msg)
    write_atomically(resolved, plain.encode())
    train(recipe, resume=resume)
    export_run(Path(recipe.output), recipe)
    return 0


def changed(data: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return a recipe's plain data with values put in place: `--key.key value`, or `=value`.

    Raises:
        ConfigError: If the words are no such pairs, or a value is no YAML.
    """
    result = _copied(data)
    words = [part for word in changes for part in _split(word)]
    names, values = words[::2], words[1::2]
    if len(names) != len(values) or not all(name.startswith('--') for name in names):
        msg = f'Expected keys of the recipe with values, `--trainer.epochs 3`, not {words}.'
        raise ConfigError(msg)
    for name, text in zip(names, values, strict=True):
        *path, last = name.removeprefix('--').replace('-', '_').split('.')
        place = result
        for key in path:
            inner = place.setdefault(key, {})
            if not isinstance(inner, dict):
                msg = f'{name}: {key!r} of the recipe has no keys.'
                raise ConfigError(msg)
            place = inner
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError as err:
            msg = f'{name}: {text!r} is no value ({err}).'
            raise ConfigError(msg) from err
    return result


def _split(word: str) -> list[str]:
    name, separator, value = word.partition('=')
    return [name, value] if separator and name.startswith('--') else [word]


def _copied(data: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(item) if isinstance(item, dict) else item for key, item in data.items()}


def _plain(value: object) -> object:
    """Turn tuples into lists, which YAML has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
