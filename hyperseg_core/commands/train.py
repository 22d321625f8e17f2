# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg train`: a recipe in YAML, any of its keys on the command line."""

from dataclasses import asdict
from pathlib import Path

from jsonargparse import ArgumentParser
import yaml

from hyperseg_core.errors import HyperSegError
from hyperseg_core.files.atomic import write_atomically


def train_command(arguments: list[str]) -> int:
    """Read the recipe and run it; exports the weights when it is done."""
    try:
        from hyperseg_core.training.config import TrainConfig
        from hyperseg_core.training.export import export_run
        from hyperseg_core.training.run import train
    except ImportError as err:
        msg = f"Training needs {err.name}: `pip install 'hyperseg_ros[train]'`."
        raise HyperSegError(msg) from err
    parser = ArgumentParser(prog='hyperseg train', description='Train a network by a recipe.')
    parser.add_argument('--config', action='config', help='The recipe, a YAML file.')
    parser.add_argument(
        '--resume', type=bool, default=False, help='Go on from last.ckpt in the output folder.'
    )
    parser.add_class_arguments(TrainConfig)
    parsed = parser.instantiate_classes(parser.parse_args(arguments))
    options = {
        key: value for key, value in vars(parsed).items() if key not in {'config', 'resume'}
    }
    config = TrainConfig(**options)
    write_atomically(
        Path(config.output) / 'config.yaml',
        yaml.safe_dump(_plain(asdict(config)), sort_keys=False).encode(),
    )
    train(config, resume=parsed.resume)
    export_run(Path(config.output), config)
    return 0


def _plain(value: object) -> object:
    """Turn tuples into lists, which YAML has."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
