# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `hyperseg` command: commands by the place of their functions, errors in one line.

Functions are imported when they are run, so that help need not wait for anything. Their
signatures and docstrings are their options.
"""

from collections.abc import Mapping
import logging
import re
import sys

from cyclopts import App
from cyclopts import CycloptsError
from cyclopts import Parameter

from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import shortened
from hyperseg_core.process_end import leave

COMMANDS: Mapping[str, tuple[str, str]] = {
    'predict': ('predict:predict_command', 'Segment images, a video or a camera.'),
    'train': ('train:train_command', 'Train a network by a recipe.'),
    'evaluate': ('evaluate:evaluate_command', 'Score a checkpoint on a data set.'),
    'calibrate': ('calibrate:calibrate_command', 'Fit the confidence to unseen images.'),
    'annotate': ('annotate:annotate_command', 'Put measured scores into a checkpoint.'),
    'import-published': (
        'import_published:import_published_command', 'Turn a published .pth into a checkpoint.',
    ),
    'import-labels': (
        'import_labels:import_labels_command', 'Turn corrected labels into a data set.',
    ),
    'export': ('deploy:export_command', 'Write the deployable graph as ONNX.'),
    'build': ('deploy:build_command', 'Build an engine ahead of its first use.'),
    'bench': ('bench:bench_command', 'Time every engine on this machine.'),
    'check-data': ('check_data:check_data_command', 'Check the files of a data set.'),
    'doctor': ('doctor:doctor_command', 'Say what is installed and what would be chosen.'),
}  # fmt: skip
"""Name, function below `hyperseg_core.commands`, and what it does."""
_EXTRAS = {
    'torch': 'torch', 'timm': 'torch', 'torchvision': 'train', 'pytorch_lightning': 'train',
    'torchmetrics': 'train', 'rclpy': 'ros', 'sensor_msgs': 'ros', 'std_msgs': 'ros',
    'diagnostic_msgs': 'ros', 'rosgraph_msgs': 'ros', 'lifecycle_msgs': 'ros', 'av': 'video',
    'rcl_interfaces': 'ros', 'aiohttp': 'view', 'onnxruntime': 'onnxruntime',
    'openvino': 'openvino', 'ray': 'fleet', 'fsspec': 'fleet',
}  # fmt: skip
"""Optional packages, and the extra that installs each."""
_SIZE = re.compile(r'--([a-z]+-)?size')
_PAIR = re.compile(r'\[?\s*(\d+)\s*,\s*(\d+)\s*\]?')


def create_app(
    commands: Mapping[str, tuple[str, str]] = COMMANDS, *, name: str = 'hyperseg'
) -> App:
    """Return the command line of some commands.

    Args:
        commands: Name, `module:function`, and what it does; modules without a dot but the colon
            are below `hyperseg_core.commands`.
        name: What the program is called.
    """
    app = App(
        name=name,
        help='Real-time semantic segmentation with HyperSeg, for ROS 2.',
        version_flags=[],
        default_parameter=Parameter(consume_multiple=True, negative=()),
    )
    for command, (place, text) in commands.items():
        whole = place if '.' in place else f'hyperseg_core.commands.{place}'
        app.command(whole, name=command, help=text)
    return app


def run(arguments: list[str], app: App) -> int:
    """Run one command; returns the exit status: 0, 1 where it says so, 2 on an error."""
    logging.basicConfig(level=logging.INFO, format='%(levelname)s: %(message)s')
    name = ' '.join(app.name)
    try:
        name = ' '.join(_command_words(arguments, app))
        status = app(
            _with_pairs(arguments), exit_on_error=False, print_error=False,
            result_action='return_value',
        )  # fmt: skip
    except CycloptsError as error:
        told = str(error).strip()
    except (HyperSegError, OSError) as error:
        told = str(error)
    except ImportError as error:
        package = _missing_package(error)
        if package not in _EXTRAS:
            raise
        told = (
            f'needs {package}, which is not installed: '
            f"`pip install 'hyperseg_ros[{_EXTRAS[package]}]'`."
        )
    except KeyboardInterrupt:
        print(f'{name}: interrupted.', file=sys.stderr)  # noqa: T201
        return 130
    else:
        return status if isinstance(status, int) else 0
    print(f'{name}: {shortened(told)}', file=sys.stderr)  # noqa: T201
    return 2


def _missing_package(error: BaseException | None) -> str:
    """Return the package that could not be imported; cyclopts puts an error of its own around."""
    while error is not None:
        if isinstance(error, ImportError) and error.name is not None:
            return error.name.partition('.')[0]
        error = error.__cause__
    return ''


def _command_words(arguments: list[str], app: App) -> list[str]:
    """Return the program's name and the commands that the arguments begin with."""
    words = [*app.name]
    for argument in arguments[:2]:
        if argument.startswith('-') or argument not in app:
            break
        words.append(argument)
        try:
            app = app[argument]
        except ImportError:  # running it says what is missing
            break
    return words


def _with_pairs(arguments: list[str]) -> list[str]:
    """Take `--size 720,1280`, `--size=720,1280` and `--size [720, 1280]` as two words."""
    words: list[str] = []
    for argument in arguments:
        name, separator, value = argument.partition('=')
        if separator and _SIZE.fullmatch(name) and _PAIR.fullmatch(value):
            words.append(name)
            argument = value
        pair = _PAIR.fullmatch(argument) if words and _SIZE.fullmatch(words[-1]) else None
        words += pair.groups() if pair else [argument]
    return words


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status."""
    leave(run(sys.argv[1:] if arguments is None else arguments, create_app()))
