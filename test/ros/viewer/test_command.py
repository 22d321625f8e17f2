# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from hyperseg_core.cli import run
from hyperseg_ros.cli import create_app


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['video.mp4'], "No image, folder, video or camera called 'video.mp4'"),
        (['--port', '70000'], '--port is 70000, expected 0 to 65535'),
        (['--token', 'short'], '--token has 5 characters'),
        (['--token', 'with spaces in it'], 'letters, digits'),
        (['--truth', 'labels'], '--truth is for files: name a folder'),
        (['--topic', '/image'], '--topic is for files'),
        (['--rrd', 'a.rrd'], '--rrd is for files'),
        (['--max-rate', '0'], '--max-rate is 0, expected'),
        (['--max-rate', 'nan'], '--max-rate is nan, expected'),
    ],
)
def test_wrong_options_are_told(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(['view', *words], create_app()) == 2
    assert told in capsys.readouterr().err


def test_missing_aiohttp_says_what_to_install() -> None:
    pytest.importorskip('rclpy')
    code = (
        "import sys; sys.modules['aiohttp'] = None\n"
        'from hyperseg_ros.cli import main\n'
        "main(['view', '--port', '0'])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'hyperseg_ros[view]'" in done.stderr
