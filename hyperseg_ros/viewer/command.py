# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view`: serve a page that shows what segmenters do, in the graph or with files."""

import asyncio
import logging
from pathlib import Path
import re
import sys

from hyperseg_core.commands.options import Device
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.access import is_loopback
from hyperseg_ros.viewer.access import new_token

DEFAULT_PORT = 8765
_logger = logging.getLogger(__name__)
_TOKEN = re.compile(r'[A-Za-z0-9_.~-]{8,256}')
"""What stays as it is behind the `#` of an address."""


def view_command(
    source: str | None = None,
    /,
    *,
    port: int = DEFAULT_PORT,
    host: str = '127.0.0.1',
    token: str | None = None,
    max_rate: float = 15.0,
    checkpoint: str = 'default',
    engine: str = 'auto',
    device: Device = 'auto',
    precision: str = 'auto',
    topic: str | None = None,
    truth: str | None = None,
    rrd: Path | None = None,
) -> int:
    """Serve a page that shows every segmenter in the graph, or files, until interrupted.

    Args:
        source: A folder of images, a video or a bag to segment and play; without one, the page
            shows the segmenters that run.
        port: Port to listen on; 0 takes a free one.
        host: Address to listen on. Any but this machine's own asks pages for a token.
        token: What pages must know; made and printed where one is needed and none is given.
        max_rate: Most frames per second of a camera that are sent [Hz].
        checkpoint: For files: file or name of a shipped checkpoint.
        engine: For files: engine, as for the node.
        device: For files: device, as for the node.
        precision: For files: precision, as for the node.
        topic: For bags with several cameras: the topic that is shown.
        truth: For files: folder of pictures of ids named as the images are; for bags, a topic.
        rrd: For files: write a recording for rerun instead of serving a page.
    """
    _check(port, token, max_rate)
    if source is None:
        _check_live(topic, truth, rrd)
    wanted = token if token is not None or is_loopback(host) else new_token()
    address = (host, port, wanted or '')
    if source is not None:
        return _show_files(
            source, topic, truth, rrd, (checkpoint, engine, device, precision), address
        )
    # They need rclpy and aiohttp.
    from hyperseg_ros.viewer.hub import Hub
    from hyperseg_ros.viewer.ros_thread import RosThread
    from hyperseg_ros.viewer.serving import serve

    ros = RosThread('hyperseg_view')
    status = 1
    try:
        status = asyncio.run(serve(lambda: Hub(ros, max_rate), *address))
    finally:
        ros.stop(status)
    return status


def _show_files(
    source: str,
    topic: str | None,
    truth: str | None,
    rrd: Path | None,
    choice: tuple[str, str, str, str],
    address: tuple[str, int, str],
) -> int:
    from hyperseg_core.inference.segmenter import Segmenter
    from hyperseg_ros.viewer.file_frames import open_files

    frames = open_files(source, topic, truth)
    if rrd is None:
        # It needs aiohttp: whether that is there is told before an engine is built.
        from hyperseg_ros.viewer.file_hub import FileHub
        from hyperseg_ros.viewer.serving import serve

        segmenter = Segmenter(*choice)
        return asyncio.run(serve(lambda: FileHub(frames, segmenter), *address))
    from hyperseg_ros.viewer.rerun_recording import check_recording_path
    from hyperseg_ros.viewer.rerun_recording import import_rerun
    from hyperseg_ros.viewer.rerun_recording import write_recording

    import_rerun()  # told before an engine is built
    check_recording_path(rrd)
    count = write_recording(rrd, frames, Segmenter(*choice))
    for problem in frames.problems:
        _logger.warning('%s', problem)
    _logger.info('Wrote %d frames to %s; open it: rerun %s', count, rrd, rrd)
    return 1 if frames.problems or not count else 0


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


def _check_live(topic: str | None, truth: str | None, rrd: Path | None) -> None:
    """Refuse what is for files alone: the page of the graph would not show it."""
    for option, value in (('--topic', topic), ('--truth', truth), ('--rrd', rrd)):
        if value is not None:
            msg = (
                f'{option} is for files: name a folder, a video or a bag before it. For live '
                f'topics, record a bag.'
            )
            raise InputError(msg)


def main() -> None:
    """Run the command on its own: `ros2 run hyperseg_ros view`."""
    from hyperseg_ros.cli import main as run

    arguments = sys.argv[1:]
    if '--ros-args' in arguments:
        arguments = arguments[: arguments.index('--ros-args')]
    run(['view', *arguments])


if __name__ == '__main__':
    main()
