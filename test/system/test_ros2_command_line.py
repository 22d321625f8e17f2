# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people type: `ros2 node`, `param`, `lifecycle`, `topic` against a running node."""

from pathlib import Path
import subprocess
import sys

import pytest
import yaml

pytest.importorskip('rclpy')
pytest.importorskip('ros2cli')

from node_client import Client
from node_client import environment
from node_client import node_process

from hyperseg_ros.node.parameters import SPECS

_ROS2 = 'import sys; from ros2cli.cli import main; sys.argv[0] = "ros2"; sys.exit(main())'


def ros2(*words: str) -> str:
    """Run a command of `ros2` and return what it prints."""
    found = subprocess.run(
        [sys.executable, '-c', _ROS2, *words], capture_output=True, text=True, timeout=60,
        env=environment(), check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout + found.stderr


def test_ros2_sees_changes_and_stops_the_node(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    masks = client.listen('/segmenter/mask')
    no_daemon = ('--no-daemon', '--spin-time', '5')
    with node_process(small_checkpoint, tmp_path / 'log'):
        statuses = client.diagnostics()
        assert client.wait(lambda: bool(statuses), 60)
        assert '/segmenter' in ros2('node', 'list', *no_daemon)
        assert '/segmenter/mask' in ros2('node', 'info', '/segmenter', *no_daemon)
        dumped = yaml.safe_load(ros2('param', 'dump', '/segmenter', *no_daemon))
        values = dumped['/segmenter']['ros__parameters']
        # Empty lists, too, which have no type of their own.
        assert set(SPECS) <= set(values)
        assert ros2('param', 'get', '/segmenter', 'max_age_s', *no_daemon).endswith('0.0\n')
        assert 'successful' in ros2('param', 'set', '/segmenter', 'max_age_s', '0.25', *no_daemon)
        refused = ros2('param', 'set', '/segmenter', 'max_age_s', '-1.0', *no_daemon)
        assert 'failed' in refused.lower()
        assert 'max_age_s' in refused
        described = ros2('param', 'describe', '/segmenter', 'max_age_s', *no_daemon)
        assert '3600' in described
        assert 'active' in ros2('lifecycle', 'get', '/segmenter', *no_daemon)
        assert '/segmenter' in ros2('lifecycle', 'nodes', *no_daemon)
        told = ros2('topic', 'info', '--verbose', '/segmenter/mask', *no_daemon)
        assert 'RELIABLE' in told
        ros2('lifecycle', 'set', '/segmenter', 'deactivate', *no_daemon)
        assert 'inactive' in ros2('lifecycle', 'get', '/segmenter', *no_daemon)
    assert masks == []


def test_dumped_parameters_start_the_same_node(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    no_daemon = ('--no-daemon', '--spin-time', '5')
    with node_process(small_checkpoint, tmp_path / 'log', '-p', 'confidence_threshold:=0.25'):
        statuses = client.diagnostics()
        assert client.wait(lambda: bool(statuses), 60)
        dump = ros2('param', 'dump', '/segmenter', *no_daemon)
    file = tmp_path / 'dump.yaml'
    file.write_text(dump)
    with node_process(small_checkpoint, tmp_path / 'again', '--params-file', str(file)):
        statuses.clear()
        assert client.wait(lambda: bool(statuses), 60)
        again = ros2('param', 'get', '/segmenter', 'confidence_threshold', *no_daemon)
        assert again.endswith('0.25\n')
    assert 'ERROR' not in (tmp_path / 'again').read_text()
