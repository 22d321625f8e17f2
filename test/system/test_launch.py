# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

pytest.importorskip('launch_ros')

from launch import LaunchContext
from launch import LaunchService
from launch.launch_description_sources import AnyLaunchDescriptionSource
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
