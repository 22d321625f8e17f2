# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
import importlib.util
import os
from pathlib import Path
import sys
from typing import Any

import pytest


def _put_on_path(folder: Path) -> None:
    """Let this process and those that it starts import from a folder."""
    sys.path.insert(0, str(folder))
    for name in ('PYTHONPATH', 'LD_LIBRARY_PATH'):
        known = os.environ.get(name)
        os.environ[name] = os.pathsep.join([str(folder), *([known] if known else [])])


@pytest.fixture
def client() -> Iterator[Any]:
    """A node in a context of its own, in the domain of the tests."""
    pytest.importorskip('rclpy')
    from node_client import Client

    client = Client()
    yield client
    client.close()


@pytest.fixture(scope='session')
def vision_msgs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have vision_msgs: the distribution's, or its two messages compiled here."""
    if importlib.util.find_spec('vision_msgs') is None:
        from message_packages import VISION_MSGS
        from message_packages import build_messages

        _put_on_path(build_messages('vision_msgs', VISION_MSGS, tmp_path_factory.mktemp('msgs')))


@pytest.fixture(scope='session')
def bondpy(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have bondpy, whose sources public_sources.py brings, and its messages."""
    pytest.importorskip('rclpy')
    if importlib.util.find_spec('bondpy') is None:
        pytest.skip('bondpy is not installed; test/system/public_sources.py brings it')
    if importlib.util.find_spec('bond') is None:
        from message_packages import BOND
        from message_packages import build_messages

        _put_on_path(build_messages('bond', BOND, tmp_path_factory.mktemp('msgs')))
