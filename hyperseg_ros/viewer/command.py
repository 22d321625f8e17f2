# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view`: serve a page that shows what the segmenters in the graph do."""

import asyncio
import re
import sys
from typing import Annotated

from cyclopts import Parameter

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.access import is_loopback
from hyperseg_ros.viewer.access import new_token

DEFAULT_PORT = 8765
_TOKEN = re.compile(r'[A-Za-z0-9_.~-]{8,256}')
"""What stays as it is behind the `#` of an address."""


def view_command(
    source: Annotated[str | None, Parameter(show=False)] = None,
    /,
    *,
    port: int = DEFAULT_PORT,
    host: str = '127.0.0.1',
    token: str | None = None,
    max_rate: float = 15.0,
) -> int:
    """Serve a page that shows every segmenter in the graph, live, until interrupted.

    Args:
        source: Nothing yet; files are not shown.
        port: Port to listen on; 0 takes a free one.
        host: Address to listen on. Any but this machine's own asks pages for a token.
        token: What pages must know; made and printed where one is needed and none is given.
        max_rate: Most frames per second of a camera that are sent [Hz].
    """
    if source is not None:
        msg = (
            f'Cannot show {source!r:.80}: `hyperseg view` takes no files yet, it shows the '
            f'segmenters that run. For files: `hyperseg predict`, `hyperseg bag label`.'
        )
        raise InputError(msg)
    _check(port, token, max_rate)
    wanted = token if token is not None or is_loopback(host) else new_token()
    # They need rclpy and aiohttp.
    from hyperseg_ros.viewer.ros_thread import RosThread
    from hyperseg_ros.viewer.serving import serve

    ros = RosThread('hyperseg_view')
    status = 1
    try:
        status = asyncio.run(serve(ros, host, port, wanted or '', max_rate))
    finally:
        ros.stop(status)
    return status


def _check(port: int, token: str | None, max_rate_hz: float) -> None:
    if not 0 <= port <= 65535:
        msg = f'--port is {port}, expected 0 to 65535.'
        raise ConfigError(msg)
    if token is not None and not _TOKEN.fullmatch(token):
        msg = (
            f'--token has {len(token)} characters, expected 8 to 256 letters, digits, `-` or `_`; '
            f'leave it out where one is needed, to have one made.'
        )
        raise ConfigError(msg)
    if not 0.1 <= max_rate_hz <= 120:
        msg = f'--max-rate is {max_rate_hz:g}, expected 0.1 to 120 Hz.'
        raise ConfigError(msg)


def main() -> None:
    """Run the command on its own: `ros2 run hyperseg_ros view`."""
    from hyperseg_ros.cli import main as run

    arguments = sys.argv[1:]
    if '--ros-args' in arguments:
        arguments = arguments[: arguments.index('--ros-args')]
    run(['view', *arguments])


if __name__ == '__main__':
    main()
