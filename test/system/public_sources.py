#!/usr/bin/env python3
# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run the tests that need launch, the `ros2` command line and bondpy, which no registry has.

Their public sources are cloned into a folder (or lie there already) and put on the path beside the
ROS wheels; nothing of them is kept here. Where they cannot be had, it says so and ends well.

Usage: python test/system/public_sources.py [FOLDER] [-- ARGUMENTS OF PYTEST]
"""

import os
from pathlib import Path
import subprocess
import sys
import tempfile

SOURCES = {
    'https://github.com/ros2/launch': (
        'kilted', ('launch', 'launch_xml', 'launch_yaml'),
    ),
    'https://github.com/ros2/launch_ros': ('kilted', ('launch_ros',)),
    'https://github.com/ros2/ros2cli': (
        'kilted',
        ('ros2cli', 'ros2node', 'ros2param', 'ros2lifecycle', 'ros2topic', 'ros2service'),
    ),
    'https://github.com/ros2/rosidl_runtime_py': ('jazzy', ('',)),
    'https://github.com/ros/bond_core': ('ros2', ('bondpy', 'smclib')),
}  # fmt: skip
"""Repositories, their branch, and the folders of the Python packages that are used."""
REGISTRY = ('argcomplete', 'osrf-pycommon', 'packaging', 'psutil')
"""What they need from PyPI, and what that needs."""
STAND_INS = ('composition_interfaces',)
"""Message packages that are imported and not used here."""
_STAND_IN = """
class Any:
    Request = Response = object

def __getattr__(name):
    return Any
"""
TESTS = ('test_launch.py', 'test_lifecycle_manager.py', 'test_ros2_command_line.py')


def clone(url: str, branch: str, folder: Path) -> Path:
    """Return the checkout of a repository, cloned where it is not there yet."""
    checkout = folder / url.rpartition('/')[2]
    if not checkout.is_dir():
        command = ['git', 'clone', '--quiet', '--depth', '1', '--branch', branch, url, checkout]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
    return checkout


def install(folder: Path) -> Path:
    """Install all packages, without what they depend on, into a folder for the path."""
    site = folder / 'site'
    projects = []
    for url, (branch, packages) in SOURCES.items():
        checkout = clone(url, branch, folder)
        for package in packages:
            if (checkout / package / 'setup.py').is_file():
                projects.append(checkout / package)
            else:  # built by CMake on a robot, but plain Python
                site.mkdir(exist_ok=True)
                link = site / package
                if not link.exists():
                    link.symlink_to(checkout / package / package)
    if not (site / 'ros2cli').exists():
        pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', site]
        subprocess.run([*pip, *projects, *REGISTRY], check=True, capture_output=True)
    for name in STAND_INS:
        (site / name).mkdir(exist_ok=True)
        for module in ('__init__', 'msg', 'srv'):
            text = '' if module == '__init__' else _STAND_IN
            (site / name / f'{module}.py').write_text(text)
    return site


def main() -> int:
    """Fetch, install, test."""
    own, _, for_pytest = ' '.join(sys.argv[1:]).partition('-- ')
    folder = Path(own.strip() or tempfile.mkdtemp(prefix='ros_sources_')).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        site = install(folder)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, 'stderr', b'') or b''
        print(f'Skipped: the public sources cannot be had: {error} {told.decode()}')
        return 0
    here = Path(__file__).parent
    variables = {
        name: os.pathsep.join([str(site), *filter(None, [os.environ.get(name, ''), last])])
        for name, last in (('PYTHONPATH', ''), ('AMENT_PREFIX_PATH', sys.prefix))
    }
    command = [
        sys.executable,
        '-m',
        'pytest',
        *(here / name for name in TESTS),
        *for_pytest.split(),
    ]
    return subprocess.call(command, env={**os.environ, **variables})


if __name__ == '__main__':
    sys.exit(main())
