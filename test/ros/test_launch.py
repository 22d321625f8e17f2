# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

pytest.importorskip('launch_ros')

from launch import LaunchService
from launch.launch_description_sources import get_launch_description_from_python_launch_file

FILES = sorted((Path(__file__).parents[2] / 'launch').glob('*.launch.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_launch_files_describe_themselves(path: Path) -> None:
    description = get_launch_description_from_python_launch_file(str(path))
    arguments = description.get_launch_arguments()
    assert arguments
    assert all(argument.description for argument in arguments)
    assert LaunchService()
