# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

pytest.importorskip('launch_ros')

from launch import LaunchContext
from launch import LaunchDescription
from launch import LaunchService
from launch.actions import EmitEvent
from launch.actions import IncludeLaunchDescription
from launch.actions import TimerAction
from launch.events import Shutdown
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.launch_description_sources import get_launch_description_from_python_launch_file

FOLDER = Path(__file__).parents[2] / 'launch'
FILES = sorted(FOLDER.glob('*.launch.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_launch_files_describe_themselves(path: Path) -> None:
    description = get_launch_description_from_python_launch_file(str(path))
    arguments = description.get_launch_arguments()
    assert arguments
    assert all(argument.description for argument in arguments)
    assert LaunchService()


@pytest.mark.parametrize('front', ['xml', 'yaml'])
def test_fronts_include_the_launch_file(
    front: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(f'launch_{front}')
    marker = tmp_path / 'share/ament_index/resource_index/packages/hyperseg_ros'
    marker.parent.mkdir(parents=True)
    marker.touch()
    (tmp_path / 'share/hyperseg_ros').symlink_to(FOLDER.parent)
    prefixes = f'{tmp_path}{os.pathsep}{os.environ.get("AMENT_PREFIX_PATH", "")}'
    monkeypatch.setenv('AMENT_PREFIX_PATH', prefixes)
    source = AnyLaunchDescriptionSource(str(FOLDER / f'segmenter.launch.{front}'))
    (include,) = source.get_launch_description(LaunchContext()).entities
    included = include.launch_description_source.get_launch_description(LaunchContext())
    assert 'image' in {argument.name for argument in included.get_launch_arguments()}


_STANDIN = """#!/bin/sh
echo start >> {starts}
[ $(wc -l < {starts}) -le 2 ] && exit 75
exit 3
"""


def test_node_is_started_again_while_its_engine_is_lost_and_then_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts, script = tmp_path / 'starts', tmp_path / 'lib/hyperseg_ros/segmenter'
    for file in (tmp_path / 'share/ament_index/resource_index/packages/hyperseg_ros', script):
        file.parent.mkdir(parents=True)
        file.touch()
    (tmp_path / 'share/hyperseg_ros').symlink_to(FOLDER.parent)
    script.write_text(_STANDIN.format(starts=starts))
    script.chmod(0o755)
    prefixes = f'{tmp_path}{os.pathsep}{os.environ.get("AMENT_PREFIX_PATH", "")}'
    monkeypatch.setenv('AMENT_PREFIX_PATH', prefixes)
    source = PythonLaunchDescriptionSource(str(FOLDER / 'segmenter.launch.py'))
    service = LaunchService()
    end = TimerAction(period=6.0, actions=[EmitEvent(event=Shutdown())])
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source), end]))
    assert service.run() == 0
    assert starts.read_text().count('start') == 3
