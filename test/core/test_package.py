# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from importlib import metadata
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import hyperseg_core

ROOT = Path(__file__).parents[2]
MANIFEST = ElementTree.parse(ROOT / 'package.xml').getroot()


def test_version_and_licence_are_those_of_package_xml() -> None:
    version = MANIFEST.findtext('version')
    assert metadata.version('hyperseg_ros') == version
    assert re.search(r'^(\d+\.\d+\.\d+)', (ROOT / 'CHANGELOG.rst').read_text(), re.M)[1] == version
    assert MANIFEST.findtext('license') == 'Apache-2.0'
    assert 'Apache License' in (ROOT / 'LICENSE').read_text()


def test_every_source_file_states_the_licence() -> None:
    for path in ROOT.glob('hyperseg_*/**/*.py'):
        assert 'SPDX-License-Identifier: Apache-2.0' in path.read_text()[:200], path


def test_public_names_are_sorted_and_there() -> None:
    names = hyperseg_core.__all__
    assert list(names) == sorted(names)
    assert all(hasattr(hyperseg_core, name) for name in names)


def test_commands_answer_help() -> None:
    bin_folder = Path(sys.executable).parent
    out = subprocess.run(
        [bin_folder / 'hyperseg', '--help'], capture_output=True, text=True, check=True
    )
    assert 'import-published' in out.stdout


def test_no_research_image_is_tracked() -> None:
    listing = subprocess.run(
        ['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    assert not re.search(r'(0001TP|0006R0|0016E5|Seq05VD)_', listing)


def test_wheel_brings_what_ros2_run_starts(tmp_path: Path) -> None:
    """`ros2 run PACKAGE COMMAND` starts PREFIX/lib/PACKAGE/COMMAND, by the Python on the path."""
    pytest.importorskip('setuptools')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet']
    source = tmp_path / 'source'
    kept = ('hyperseg_core', 'hyperseg_ros', 'launch', 'config', 'resource')
    for name in kept:
        shutil.copytree(ROOT / name, source / name)
    for name in ('setup.py', 'setup.cfg', 'pyproject.toml', 'package.xml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, source)
    options = ['--no-deps', '--no-build-isolation']
    subprocess.run([*pip, 'wheel', *options, '-w', tmp_path, source], check=True)
    (wheel,) = tmp_path.glob('*.whl')
    prefix = tmp_path / 'prefix'
    subprocess.run(
        [*pip, 'install', '--no-deps', '--ignore-installed', '--prefix', prefix, wheel], check=True
    )
    folders = {path.parent for path in prefix.rglob('lib/hyperseg_ros/segmenter')}
    assert len(folders) == 1
    commands = {path.name: path for path in folders.pop().iterdir()}
    assert {'segmenter', 'hyperseg', 'bag_player', 'bag_label', 'view'} <= set(commands)
    (site,) = {path.parent for path in prefix.rglob('hyperseg_core') if path.is_dir()}
    page = {path.name for path in (site / 'hyperseg_ros/viewer/page').iterdir()}
    assert {'index.html', 'main.js', 'style.css'} <= page
    variables = {
        **os.environ,
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'PYTHONPATH': str(site),
    }
    out = subprocess.run(
        [commands['hyperseg'], '--help'], env=variables, capture_output=True, text=True, check=True
    )
    assert 'import-published' in out.stdout
