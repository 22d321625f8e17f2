# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

from node_client import environment
from quick_engine import ENGINE


@pytest.mark.parametrize(
    ('option', 'status', 'told'),
    [('--bag', 2, 'No bag at'), ('--images', 1, 'the camera ended')],
)
def test_demo_tells_at_once_what_is_wrong_with_its_source(
    option: str, status: int, told: str, tmp_path: Path
) -> None:
    command = [
        sys.executable, '-m', 'hyperseg_ros.demo.main', option, str(tmp_path / 'nope'),
        '--engine', ENGINE, '--output', str(tmp_path / 'out'),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, env=environment()
    )
    assert done.returncode == status
    assert told in done.stdout
    assert 'Traceback' not in done.stdout + done.stderr


def test_demo_removes_nothing_that_it_did_not_write(tmp_path: Path) -> None:
    mine = tmp_path / 'out' / 'masks' / 'mine.txt'
    mine.parent.mkdir(parents=True)
    mine.write_text('precious')
    command = [sys.executable, '-m', 'hyperseg_ros.demo.main', '--output', str(tmp_path / 'out')]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, env=environment()
    )
    assert done.returncode == 2
    assert 'not of an earlier demo' in ' '.join(done.stdout.split())
    assert mine.read_text() == 'precious'
