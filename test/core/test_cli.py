# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import subprocess
import sys
import time

from cyclopts import App
import pytest

from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_ros.cli import create_app as create_whole_app


def _probe(seen: list[tuple[int, int] | None]) -> App:
    app = create_app({})

    @app.command
    def probe(*, frame_size: ImageSize | None = None, device: Device = 'auto') -> None:
        seen.append(frame_size)

    return app


@pytest.mark.parametrize(
    'words',
    [['--frame-size', '720', '1280'], ['--frame-size', '720,1280'], ['--frame-size=[720, 1280]']],
)
def test_sizes_are_two_words_or_one(words: list[str]) -> None:
    seen: list[tuple[int, int] | None] = []
    assert run(['probe', *words], _probe(seen)) == 0
    assert seen == [(720, 1280)]


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['--frame-size', 'abc', '3'], 'abc'),
        (['--frame-size', '-64', '64'], 'must be 1 to 16384 px, not -64 64'),
        (['--frame-size', '64'], 'requires 2'),
        (['--device', 'cuda:abc'], 'cuda:N'),
        (['--devise', 'cpu'], '--devise'),
    ],
)
def test_wrong_options_are_usage_errors(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(['probe', *words], _probe([])) == 2
    lines = capsys.readouterr().err
    assert lines.startswith('hyperseg probe: ')
    assert told in lines


@pytest.mark.parametrize(
    'words',
    [
        ['predict', 'a', 'b', '--frames', '0'],
        ['predict', 'a', 'b', '--confidence-threshold', 'nan'],
        ['predict', 'a', 'b', '--confidence-threshold', '1.5'],
        ['bench', '--runs', '0'],
        ['evaluate', '--limit', '-1'],
    ],
)
def test_numbers_that_cannot_work_are_usage_errors(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words, create_app()) == 2
    assert f'for {words[-2]}. must be ' in capsys.readouterr().err


def test_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(['segment'], create_app()) == 2
    told = capsys.readouterr().err
    assert '"segment"' in told
    assert 'predict' in told


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_whole_app()
    bags = [['bag', name] for name in ('label', 'play', 'make', 'evaluate', 'diff')]
    names = [['predict'], ['train'], ['evaluate'], ['export'], ['build'], ['bench'], ['doctor']]
    for words in [*names, ['annotate'], ['import-published'], ['check-data'], *bags]:
        assert run([*words, '--help'], app) == 0
        assert f'Usage: hyperseg {" ".join(words)}' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('words', 'blocked', 'status', 'told'),
    [
        (['import-published', '--help'], 'torch', 0, 'Usage: hyperseg import-published'),
        (['import-published', 'a', 'b'], 'torch', 2, 'needs torch, which is not installed'),
        (['bag', 'play', '--help'], 'rclpy', 0, 'Usage: hyperseg bag play'),
        (['bag', 'no'], 'rclpy', 2, 'Available commands: label, play'),
        (['bag', 'play', 'a'], 'rclpy', 2, "pip install 'hyperseg_ros[ros]'"),
    ],
)
def test_a_missing_package_is_one_line(
    words: list[str], blocked: str, status: int, told: str
) -> None:
    code = (
        f'import sys; sys.modules[{blocked!r}] = None; from hyperseg_ros.cli import main; '
        f'main({words!r})'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, done.stderr
    assert told in done.stdout + done.stderr
    assert 'Traceback' not in done.stderr


def test_help_waits_for_nothing() -> None:
    code = (
        'import sys; from hyperseg_ros.cli import create_app; from hyperseg_core.cli import run; '
        'run(["--help"], create_app()); '
        'heavy = {"torch", "cv2", "numpy", "rosbags", "rclpy", "openvino"} & set(sys.modules); '
        'sys.exit(f"imported {heavy}" if heavy else 0)'
    )
    start_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert 'import-published' in done.stdout
    assert time.monotonic() - start_s < 10  # 0.3 s on a machine that is not busy


def test_file_that_is_missing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(['predict', str(tmp_path / 'nope'), str(tmp_path / 'out')], create_app()) == 2
    assert 'hyperseg predict: No image, folder, video or camera' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
