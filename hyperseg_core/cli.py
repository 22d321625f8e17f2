# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of `hyperseg` that need no ROS: options from signatures, errors in one line."""

from collections.abc import Callable
from collections.abc import Mapping
import inspect
import json
import logging
import sys
from typing import Any

from jsonargparse import ArgumentParser

from hyperseg_core.errors import HyperSegError

Command = Callable[..., int | None]
Loader = Callable[[], Command]
"""Imports a command when it is asked for: `hyperseg --help` need not wait for torch."""


def _predict() -> Command:
    from hyperseg_core.commands.predict import predict_command

    return predict_command


def _train() -> Command:
    from hyperseg_core.commands.train import train_command

    return train_command


def _evaluate() -> Command:
    from hyperseg_core.commands.evaluate import evaluate_command

    return evaluate_command


def _annotate() -> Command:
    from hyperseg_core.commands.annotate import annotate_command

    return annotate_command


def _import_published() -> Command:
    from hyperseg_core.commands.import_published import import_published_command

    return import_published_command


def _export() -> Command:
    from hyperseg_core.commands.deploy import export_command

    return export_command


def _build() -> Command:
    from hyperseg_core.commands.deploy import build_command

    return build_command


def _bench() -> Command:
    from hyperseg_core.commands.bench import bench_command

    return bench_command


def _check_data() -> Command:
    from hyperseg_core.commands.check_data import check_data_command

    return check_data_command


def _doctor() -> Command:
    from hyperseg_core.commands.deploy import doctor_command

    return doctor_command


COMMANDS: Mapping[str, tuple[str, Loader]] = {
    'predict': ('Segment images, a video or a camera.', _predict),
    'train': ('Train a network by a recipe.', _train),
    'evaluate': ('Score a checkpoint on a data set.', _evaluate),
    'annotate': ('Put measured scores into a checkpoint.', _annotate),
    'import-published': ('Turn a published .pth into a checkpoint.', _import_published),
    'export': ('Write the deployable graph as ONNX.', _export),
    'build': ('Build an engine ahead of its first use.', _build),
    'bench': ('Time every engine on this machine.', _bench),
    'check-data': ('Check the files of a data set.', _check_data),
    'doctor': ('Say what is installed and what would be chosen.', _doctor),
}
_OWN_PARSER = {'train'}
"""Commands that read their own options: those of a recipe."""


def run(arguments: list[str], commands: Mapping[str, tuple[str, Loader]]) -> int:
    """Run one command; returns the exit status: 0, 1 where it says so, 2 on an error."""
    logging.basicConfig(level=logging.INFO, format='%(levelname)s: %(message)s')
    if not arguments or arguments[0] in {'-h', '--help'}:
        print(_overview(commands))  # noqa: T201
        return 0
    name, *rest = arguments
    if name not in commands:
        print(f'hyperseg: no command {name!r}.\n{_overview(commands)}', file=sys.stderr)  # noqa: T201
        return 2
    help_text, loader = commands[name]
    try:
        command = loader()
        if name in _OWN_PARSER:
            return command(rest) or 0
        options = parse(command, rest, program=f'hyperseg {name}', help_text=help_text)
        return command(**options) or 0
    except (HyperSegError, OSError) as error:
        print(f'hyperseg {name}: {error}', file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print(f'hyperseg {name}: interrupted.', file=sys.stderr)  # noqa: T201
        return 130


def parse(
    command: Command, arguments: list[str], *, program: str, help_text: str
) -> dict[str, Any]:
    """Read the options that a command's signature and docstring describe."""
    parser = ArgumentParser(prog=program, description=help_text)
    parser.add_function_arguments(command, as_positional=True)
    parsed = parser.parse_args(normalise_arguments(command, arguments))
    return dict(parser.instantiate_classes(parsed).items())


def normalise_arguments(command: Command, arguments: list[str]) -> list[str]:
    """Let users write what jsonargparse wants as JSON.

    `--flag` alone is true, `--size 384 512` and `--topics /a /b` are lists, dashes in names are
    underscores, and several words before the last are a list where the first parameter is one.
    """
    parameters = inspect.signature(command).parameters
    hints = {name: str(parameter.annotation) for name, parameter in parameters.items()}
    words: list[str] = []
    groups: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument.startswith('--') and argument != '--':
            name, separator, value = argument.partition('=')
            groups.append((name.replace('-', '_').replace('__', '--', 1), []))
            if separator:
                groups[-1][1].append(value)
        elif groups and _takes(hints.get(groups[-1][0].removeprefix('--'), ''), groups[-1][1]):
            groups[-1][1].append(argument)
        else:
            words.append(argument)
    first = next(iter(hints.values()), '')
    if 'list[' in first and len(words) > 1 and not words[0].startswith('['):
        words = [json.dumps(words[:-1]), words[-1]]
    for name, values in groups:
        hint = hints.get(name.removeprefix('--'), '')
        is_list = ('list[' in hint or 'tuple[' in hint) and not values[:1] == ['null']
        if is_list and values and not values[0].startswith('['):
            values = [json.dumps(_numbers(values) if 'int' in hint else values)]
        if hint == 'bool' or hint == "<class 'bool'>":
            values = values or ['true']
        words += [name, *values]
    return words


def _numbers(values: list[str]) -> list[int | str]:
    """Turn `384 512` or `384,512` into numbers; what is none is left for the parser to refuse."""
    words = [word for value in values for word in value.split(',')]
    return [int(word) if word.isdecimal() else word for word in words]


def _takes(hint: str, values: list[str]) -> bool:
    """Tell whether an option with these values takes another word."""
    if 'list[' in hint:
        return True
    if 'tuple[' in hint:
        return len(values) < 2 and not (values and values[0].startswith('['))
    if 'bool' in hint:
        return False
    return not values


def _overview(commands: Mapping[str, tuple[str, Loader]]) -> str:
    lines = [f'  {name:18}{text}' for name, (text, _) in commands.items()]
    return '\n'.join(('usage: hyperseg COMMAND [options]; COMMAND is one of', *lines))
