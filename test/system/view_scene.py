# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera, node and `hyperseg view`, each a process, for the tests of the page and its server."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import socket
import sys
import time
from types import SimpleNamespace
from typing import Any

from node_client import node_process
from node_client import process

from hyperseg_ros.process.transport import transport_environment


def free_port() -> int:
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def camera_process(log: Path, *remaps: str) -> Iterator[Any]:
    options = ['rate:=10.0', 'height:=240', 'width:=320', 'frames:=40']
    words = [word for option in options for word in ('-p', option)]
    command = [
        sys.executable,
        '-m',
        'hyperseg_ros.cameras.rendered_street',
        '--ros-args',
        *words,
        *remaps,
    ]
    with process(command, log, transport_environment()) as child:
        yield child


@contextlib.contextmanager
def server_process(log: Path, port: int, *options: str) -> Iterator[Any]:
    command = [sys.executable, '-m', 'hyperseg_ros', 'view', '--port', str(port), *options]
    with process(command, log, None) as child:
        end_s = time.monotonic() + 60
        while 'http://' not in log.read_text():
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < end_s, log.read_text()
            time.sleep(0.05)
        yield child


@contextlib.contextmanager
def whole_scene(folder: Path) -> Iterator[Any]:
    """Run camera, node and server."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        stack.enter_context(camera_process(folder / 'camera.log'))
        stack.enter_context(node_process(Path('fast'), folder / 'node.log'))
        server = stack.enter_context(server_process(folder / 'server.log', port))
        yield SimpleNamespace(
            folder=folder, port=port, url=f'http://127.0.0.1:{port}', server=server
        )
