# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg view` as its clients see it, without a browser: on DDS, with the node."""

import asyncio
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import json
from pathlib import Path
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('aiohttp')

from aiohttp import ClientSession
from aiohttp import WSMsgType
from node_client import Client
from node_client import environment
from node_client import node_process
from view_scene import camera_process
from view_scene import free_port
from view_scene import server_process
from view_scene import whole_scene

from hyperseg_ros.viewer.protocol import unpack_frame

LOOK = {'type': 'look', 'stream': '/segmenter/mask', 'confidence': False, 'ground': ''}


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with whole_scene(tmp_path_factory.mktemp('view')) as found:
        yield found


async def enter(session: ClientSession, scene: Any) -> Any:
    opened = await session.ws_connect(
        f'{scene.url}/ws', headers={'Origin': scene.url}, max_msg_size=0
    )
    await opened.send_json({'type': 'hello', 'token': ''})
    await opened.send_json(LOOK)
    return opened


async def take_frames(opened: Any, count: int) -> list[float]:
    """Acknowledge messages until there were `count` frames; returns their ages [s]."""
    ages_s: list[float] = []
    while len(ages_s) < count:
        message = await asyncio.wait_for(opened.receive(), 60)
        if message.type == WSMsgType.TEXT:
            number = json.loads(message.data)['number']
        else:
            assert message.type == WSMsgType.BINARY, message
            header, _ = unpack_frame(message.data)
            number = header['number']
            seconds, nanoseconds = header['stamp']
            ages_s.append(time.time() - seconds - nanoseconds / 1e9)
        await opened.send_json({'type': 'acknowledge', 'number': number})
    return ages_s


def resident_kib(pid: int) -> int:
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+)', text)[1])


def test_client_that_stalls_neither_delays_the_other_nor_grows_the_server(scene: Any) -> None:
    async def run() -> tuple[list[float], int, int]:
        async with ClientSession() as session:
            stalled, alive = await enter(session, scene), await enter(session, scene)
            await take_frames(alive, 20)
            before_kib = resident_kib(scene.server.pid)
            ages_s = await take_frames(alive, 150)
            grown_kib = resident_kib(scene.server.pid) - before_kib
            num_messages = 0
            # Where all this takes long, the heartbeat has closed the page that says nothing.
            with contextlib.suppress(asyncio.TimeoutError, ConnectionError):
                while True:
                    message = await asyncio.wait_for(stalled.receive(), 0.5)
                    if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                        break
                    num_messages += 1
            return ages_s, grown_kib, num_messages

    ages_s, grown_kib, num_messages = asyncio.run(run())
    assert num_messages == 1
    assert grown_kib < 20_000
    assert max(ages_s[-50:]) < 2.0


def test_nothing_is_subscribed_unless_somebody_looks(scene: Any, client: Client) -> None:
    def listeners(topic: str) -> list[str]:
        return [item.node_name for item in client.node.get_subscriptions_info_by_topic(topic)]

    def is_listening() -> bool:
        return any('hyperseg_view' in listeners(t) for t in ('/segmenter/mask', '/diagnostics'))

    async def look() -> None:
        async with ClientSession() as session:
            opened = await enter(session, scene)
            await take_frames(opened, 2)
            assert client.wait(lambda: 'hyperseg_view' in listeners('/segmenter/mask'))
            assert client.wait(lambda: 'hyperseg_view' in listeners('/image'))
            assert 'hyperseg_view' not in listeners('/segmenter/confidence')
            await opened.close()

    assert client.wait(lambda: not is_listening())
    asyncio.run(look())
    assert client.wait(lambda: not is_listening() and 'hyperseg_view' not in listeners('/image'))


def test_other_machines_need_the_token_that_is_printed(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / 'server.log'
    with server_process(log, port, '--host', '0.0.0.0'):
        token = re.search(r'http://[^:]+:\d+/#(\S+)', log.read_text())[1]

        async def try_token(given: str) -> Any:
            url = f'http://127.0.0.1:{port}'
            async with (
                ClientSession() as session,
                session.ws_connect(f'{url}/ws', headers={'Origin': url}) as opened,
            ):
                await opened.send_json({'type': 'hello', 'token': given})
                return (await opened.receive()).type

        assert asyncio.run(try_token(token)) == WSMsgType.TEXT
        assert asyncio.run(try_token('')) == WSMsgType.CLOSE


class Page:
    """A page without a browser: acknowledges everything, and keeps the last state."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self.state: dict[str, Any] = {}
        self.num_frames = 0
        self._answers: dict[int, Any] = {}

    async def ask(self, **message: Any) -> dict[str, Any]:
        number = len(self._answers) + 1
        await self._opened.send_json({**message, 'request': number})
        await self.wait(lambda: number in self._answers)
        return self._answers[number]

    async def wait(self, condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end_s, self.state
            message = await asyncio.wait_for(self._opened.receive(), 60)
            if message.type == WSMsgType.TEXT:
                found = json.loads(message.data)
                if found['type'] == 'state':
                    self.state = found
                else:
                    self._answers[found['request']] = found
            else:
                found, _ = unpack_frame(message.data)
                self.num_frames += 1
            await self._opened.send_json({'type': 'acknowledge', 'number': found['number']})

    def is_in(self, name: str, lifecycle: str) -> bool:
        return self.segmenter(name).get('lifecycle') == lifecycle

    def segmenter(self, name: str) -> dict[str, Any]:
        return next((item for item in self.state['segmenters'] if item['name'] == name), {})


def test_node_that_is_not_configured_is_found_and_brought_up(tmp_path: Path) -> None:
    port, waits = free_port(), ['-p', 'autostart:=false', '-r']

    async def run() -> None:
        url = f'http://127.0.0.1:{port}'
        async with (
            ClientSession() as session,
            session.ws_connect(f'{url}/ws', headers={'Origin': url}, max_msg_size=0) as opened,
        ):
            await opened.send_json({'type': 'hello', 'token': ''})
            page = Page(opened)
            await page.wait(lambda: bool(page.state))
            for name in ('/good', '/bad'):
                await page.wait(functools.partial(page.is_in, name, 'unconfigured'))
                assert 'configure' in page.segmenter(name)['transitions']
                assert 'is not configured' in page.segmenter(name)['cause']
            change = {'type': 'transition', 'node': '/bad', 'transition': 'configure'}
            assert 'did not configure' in (await page.ask(**change))['error']
            await page.wait(lambda: 'nowhere' in page.segmenter('/bad')['cause'])
            change = {'type': 'transition', 'node': '/good', 'transition': 'activate'}
            assert 'it can: configure' in (await page.ask(**change))['error']
            for transition in ('configure', 'activate'):
                assert (await page.ask(**{**change, 'transition': transition}))['error'] == ''
            await page.wait(functools.partial(page.is_in, '/good', 'active'))
            await page.wait(lambda: len(page.segmenter('/good')['streams']) == 1)
            change = {'type': 'set', 'node': '/good', 'name': 'checkpoint', 'value': '/etc/passwd'}
            assert 'no parameter' in (await page.ask(**change))['error']
            change = {**change, 'node': '/hyperseg_view'}
            assert 'no segmenter' in (await page.ask(**change))['error']

    with contextlib.ExitStack() as stack:
        for name, checkpoint in (('good', 'fast'), ('bad', '/nowhere.safetensors')):
            options = [*waits, f'__node:={name}']
            log = tmp_path / f'{name}.log'
            stack.enter_context(node_process(Path(checkpoint), log, *options))
        stack.enter_context(server_process(tmp_path / 'server.log', port))
        asyncio.run(run())


def test_remapped_masks_come_and_a_node_that_hung_before_is_told(tmp_path: Path) -> None:
    port, name = free_port(), '/moved/segmenter'
    options = ['-r', '__ns:=/moved', '-r', '~/mask:=/perception/mask']
    hangs = contextlib.ExitStack()

    async def look(condition: Callable[[Page], bool]) -> None:
        url = f'http://127.0.0.1:{port}'
        async with (
            ClientSession() as session,
            session.ws_connect(f'{url}/ws', headers={'Origin': url}, max_msg_size=0) as opened,
        ):
            await opened.send_json({'type': 'hello', 'token': ''})
            await opened.send_json({**LOOK, 'stream': '/perception/mask'})
            page = Page(opened)
            await page.wait(lambda: bool(page.state) and condition(page))

    with contextlib.ExitStack() as stack:
        stack.enter_context(camera_process(tmp_path / 'camera.log', '-r', '__ns:=/moved'))
        node = stack.enter_context(node_process(Path('fast'), tmp_path / 'node.log', *options))
        stack.enter_context(server_process(tmp_path / 'server.log', port))
        asyncio.run(look(lambda page: page.num_frames > 3))
        time.sleep(1.5)  # nobody looks: what was heard is forgotten
        node.send_signal(signal.SIGSTOP)
        hangs.callback(node.send_signal, signal.SIGCONT)
        with hangs:
            asyncio.run(look(lambda page: 'hangs' in page.segmenter(name).get('cause', '')))


def test_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, '-m', 'hyperseg_ros', 'view', '--port', str(port)],
            env=environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert f'Cannot listen on 127.0.0.1 port {port}' in done.stderr
