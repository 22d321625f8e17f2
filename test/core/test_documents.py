# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Documents say what is there: links lead somewhere, code runs, commands exist."""

import os
from pathlib import Path
import re
import subprocess
import sys

import cv2
import pytest

from hyperseg_ros.cli import BAG_COMMANDS
from hyperseg_ros.cli import COMMANDS
from hyperseg_ros.cli import FLEET_COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(ROOT.glob('docs/**/*.md'))]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if '://' in target or target.startswith('#'):
            continue
        path, _, anchor = target.partition('#')
        found = page.parent / path
        assert found.exists(), target
        if anchor:
            headings = re.findall(r'^#+ (.+)$', found.read_text(), re.M)
            names = {re.sub(r'[^\w -]', '', h).strip().lower().replace(' ', '-') for h in headings}
            assert anchor in names, target


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    for words in re.findall(r'hyperseg ((?:bag |fleet )?[a-z-]+)\b', page.read_text()):
        if words.startswith('bag '):
            assert words.removeprefix('bag ') in BAG_COMMANDS, words
        elif words.startswith('fleet'):
            assert words.removeprefix('fleet').strip() in {*FLEET_COMMANDS, ''}, words
        elif words not in {'doctor', 'checkpoint'}:
            assert words in COMMANDS, words


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / 'docs' / 'README.md').read_text()
    for page in sorted((ROOT / 'docs').glob('**/*.md')):
        name = page.relative_to(ROOT / 'docs').as_posix()
        assert name == 'README.md' or f'({name})' in index, name


def test_readmes_python_runs_as_it_stands(tmp_path: Path) -> None:
    (code,) = re.findall(r'```python\n(.*?)```', (ROOT / 'README.md').read_text(), re.S)
    (tmp_path / 'docs').symlink_to(ROOT / 'docs')
    variables = {**os.environ, 'PYTHONPATH': str(ROOT)}
    subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=variables, check=True)
    assert cv2.imread(str(tmp_path / 'overlay.png')).shape == (480, 640, 3)
