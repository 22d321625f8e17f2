# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pages of `hyperseg view` cost the node: its rate without any, and with some.

    python benchmarks/bench_view.py --rate 30 --turns 5

Camera, node, server and pages share this machine. Turns without pages and with them alternate,
so that what else runs meets both.
"""

import argparse
import asyncio
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import statistics
import sys
import tempfile
import time

from aiohttp import ClientSession
from aiohttp import WSMsgType
from diagnostic_msgs.msg import DiagnosticArray
import rclpy

from hyperseg_ros.demo.processes import process
from hyperseg_ros.process.transport import transport_environment
from hyperseg_ros.viewer.protocol import unpack_frame

_TURN_S = 8.0
_SETTLE_S = 2.0


class Node:
    """Counts the masks that the node says it published."""

    def __init__(self) -> None:
        self._node = rclpy.create_node('bench_view')
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_message, 10)
        self.published, self.heard_s = 0, 0.0

    def _on_message(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == '/segmenter: camera':
                values = {item.key: item.value for item in status.values}
                self.published, self.heard_s = int(values['published']), time.monotonic()

    async def moment(self) -> tuple[int, float]:
        """Return count and time of the next report; those that waited to be read are old."""
        for _ in range(12):
            rclpy.spin_once(self._node, timeout_sec=0.0)
        before_s = self.heard_s
        while self.heard_s == before_s:
            rclpy.spin_once(self._node, timeout_sec=0.0)
            await asyncio.sleep(0.02)
        return self.published, self.heard_s


async def page(url: str, ages_s: list[float]) -> None:
    """Look, and acknowledge each message at once, until cancelled."""
    async with (
        ClientSession() as session,
        session.ws_connect(f'{url}/ws', headers={'Origin': url}, max_msg_size=0) as socket,
    ):
        await socket.send_json({'type': 'hello', 'token': ''})
        look = {'type': 'look', 'stream': '/segmenter/mask', 'confidence': False, 'ground': ''}
        await socket.send_json(look)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                number = json.loads(message.data)['number']
            else:
                header, _ = unpack_frame(message.data)
                number, (seconds, nanoseconds) = header['number'], header['stamp']
                ages_s.append(time.time() - seconds - nanoseconds / 1e9)
            await socket.send_json({'type': 'acknowledge', 'number': number})


async def turn(node: Node, url: str, server: int, num_pages: int) -> tuple[float, float, float]:
    """Return the node's rate [Hz], a page's [Hz], and the server's share of a core."""
    ages_s: list[float] = []
    pages = [asyncio.create_task(page(url, ages_s)) for _ in range(num_pages)]
    await asyncio.sleep(_SETTLE_S)
    (count, start_s), start_cpu_s = await node.moment(), cpu_seconds(server)
    num_before = len(ages_s)
    while True:
        now_count, now_s = await node.moment()
        if now_s - start_s > _TURN_S:
            break
    elapsed_s = now_s - start_s
    share = (cpu_seconds(server) - start_cpu_s) / elapsed_s
    shown = (len(ages_s) - num_before) / elapsed_s / max(1, num_pages)
    age = f', frames {1000 * statistics.median(ages_s):.0f} ms old' if ages_s else ''
    for task in pages:
        task.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    rate = (now_count - count) / elapsed_s
    print(f'{num_pages} pages: node {rate:.1f} Hz, server {share:.3f} cores, {shown:.1f} Hz{age}')
    return rate, shown, share


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has computed [s]."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


@contextlib.contextmanager
def server_process(folder: Path) -> Iterator[tuple[str, int]]:
    """Run the server; yields its address and process."""
    log = folder / 'server.log'
    with process('viewer.command', '--port', '0', log=log) as child:
        while not (words := log.read_text().split()):
            assert child.poll() is None
            time.sleep(0.1)
        yield words[-1].rstrip('/'), child.pid


async def compare(node: Node, url: str, server: int, options: argparse.Namespace) -> None:
    """Alternate turns, and print the medians."""
    while (await node.moment())[0] < options.rate:  # an engine is built first
        pass
    without, with_pages = [], []
    for _ in range(options.turns):
        without.append(await turn(node, url, server, 0))
        with_pages.append(await turn(node, url, server, options.pages))
    before, after = (statistics.median(item[0] for item in x) for x in (without, with_pages))
    share = statistics.median(item[2] for item in with_pages)
    idle = statistics.median(item[2] for item in without)
    print(
        f'Node {before:.1f} Hz without pages, {after:.1f} Hz with {options.pages} '
        f'({100 * (after / before - 1):+.1f} %); server {idle:.3f} and {share:.3f} cores.'
    )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rate', type=float, default=30.0, help="the camera's [Hz]")
    parser.add_argument('--pages', type=int, default=2)
    parser.add_argument('--turns', type=int, default=5)
    parser.add_argument('--checkpoint', default='default')
    options = parser.parse_args()
    os.environ.update(transport_environment())
    camera = ['cameras.rendered_street', '--ros-args', '-p', f'rate:={options.rate}']
    segmenter = ['node.segmenter_node', '--ros-args', '-p', f'checkpoint:={options.checkpoint}']
    rclpy.init(args=[])
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(process(*camera, log=folder / 'camera.log'))
        stack.enter_context(process(*segmenter, log=folder / 'node.log'))
        url, server = stack.enter_context(server_process(folder))
        asyncio.run(compare(Node(), url, server, options))
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
