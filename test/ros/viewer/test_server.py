# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('aiohttp')
pytest.importorskip('rclpy')

from aiohttp import ClientSession
from aiohttp import WSMsgType
from aiohttp import web
from aiohttp.test_utils import unused_port

from hyperseg_ros.viewer.server import MAX_CLIENTS
from hyperseg_ros.viewer.server import PAGE_FILES
from hyperseg_ros.viewer.server import Server
from hyperseg_ros.viewer.server import read_page


class Hub:
    """Takes what clients ask for, and does nothing."""

    def __init__(self) -> None:
        self.clients: set[Any] = set()
        self.taken: list[Any] = []

    def enter(self, client: Any) -> None:
        self.clients.add(client)
        client.offer_state({'type': 'state'})

    def leave(self, client: Any) -> None:
        self.clients.discard(client)

    def take(self, client: Any, request: Any) -> None:
        self.taken.append(request)


def serve(test: Callable[[Any], Awaitable[None]], token: str = '') -> None:
    async def run() -> None:
        hub, port = Hub(), unused_port()
        runner = web.AppRunner(Server(hub, '127.0.0.1', token).application())  # type: ignore[arg-type]
        await runner.setup()
        await web.TCPSite(runner, '127.0.0.1', port).start()
        async with ClientSession() as session:
            url = f'http://127.0.0.1:{port}'
            await test(SimpleNamespace(hub=hub, session=session, url=url))
        await runner.cleanup()

    asyncio.run(run())


def test_page_is_small_whole_and_of_no_other_host() -> None:
    page = read_page()
    assert sum(map(len, page.values())) <= 150_000
    text = b''.join(data for name, data in page.items() if name != 'icon.svg').decode()
    for address in ('https://', '//cdn', '@import', 'url('):
        assert address not in text, address
    for name in PAGE_FILES:
        assert name == 'index.html' or name in text, name


def test_files_of_the_table_are_served_and_nothing_else() -> None:
    async def test(at: Any) -> None:
        for name, kind in PAGE_FILES.items():
            async with at.session.get(f'{at.url}/{name}') as answer:
                assert answer.status == 200
                assert answer.content_type == kind
                assert "default-src 'none'" in answer.headers['Content-Security-Policy']
        for path in ('/server.py', '/../server.py', '/..%2fserver.py', '/%2e%2e/x', '/page/'):
            async with at.session.get(at.url + path) as answer:
                assert answer.status == 404, path

    serve(test)


def test_a_name_made_to_resolve_here_gets_nothing() -> None:
    async def test(at: Any) -> None:
        for path in ('/', '/ws'):
            async with at.session.get(at.url + path, headers={'Host': 'evil.org'}) as answer:
                assert answer.status == 403
                assert 'evil.org' in await answer.text()

    serve(test)


def test_what_is_no_http_is_answered_and_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test(at: Any) -> None:
        for request in (b'GET / HTTP/1.1\r\n\r\n', b'GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n'):
            reader, writer = await asyncio.open_connection(
                '127.0.0.1', int(at.url.rpartition(':')[2])
            )
            writer.write(request)
            answer = await asyncio.wait_for(reader.readline(), 10)
            assert b' 400 ' in answer or b' 403 ' in answer
            writer.close()

    serve(test)
    assert not caplog.records


def test_sockets_of_other_pages_are_refused() -> None:
    async def test(at: Any) -> None:
        for headers in ({}, {'Origin': 'http://evil.org'}, {'Origin': 'null'}):
            async with at.session.get(f'{at.url}/ws', headers=headers) as answer:
                assert answer.status == 403

    serve(test)


async def ending(at: Any, *messages: str | bytes) -> tuple[int | None, str]:
    """Say things and return code and reason of the close."""
    async with at.session.ws_connect(f'{at.url}/ws', headers={'Origin': at.url}) as socket:
        for message in messages:
            if isinstance(message, str):
                await socket.send_str(message)
            else:
                await socket.send_bytes(message)
        while True:
            message = await asyncio.wait_for(socket.receive(), 10)
            if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR):
                return socket.close_code, str(message.extra or '')


HELLO = json.dumps({'type': 'hello', 'token': 'right-token'})


@pytest.mark.parametrize(
    ('messages', 'code', 'reason'),
    [
        ([json.dumps({'type': 'hello', 'token': 'wrong'})], 1008, 'token'),
        ([json.dumps({'type': 'acknowledge', 'number': 0})], 1008, 'token'),
        ([HELLO, 'nonsense'], 1008, 'no JSON'),
        ([HELLO, '{"type": "open", "path": "/etc/passwd"}'], 1008, 'unknown'),
        ([HELLO, b'bytes'], 1008, 'not bytes'),
        ([HELLO, 'x' * 100_000], 1009, 'longer than 8192 bytes'),
    ],
)
def test_malformed_messages_close_with_a_reason(
    messages: list[Any], code: int, reason: str
) -> None:
    async def test(at: Any) -> None:
        closed, told = await ending(at, *messages)
        assert closed == code
        assert reason in told
        assert not at.hub.clients

    serve(test, 'right-token')


def test_token_opens() -> None:
    async def test(at: Any) -> None:
        async with at.session.ws_connect(f'{at.url}/ws', headers={'Origin': at.url}) as socket:
            await socket.send_str(HELLO)
            message = json.loads((await socket.receive()).data)
            assert message['type'] == 'state'
            assert len(at.hub.clients) == 1

    serve(test, 'right-token')


def test_text_that_is_no_utf8_closes_with_a_reason() -> None:
    async def test(at: Any) -> None:
        async with at.session.ws_connect(f'{at.url}/ws', headers={'Origin': at.url}) as socket:
            await socket._writer.send_frame(b'\xff', WSMsgType.TEXT)
            message = await asyncio.wait_for(socket.receive(), 10)
            assert (message.data, message.extra) == (1007, 'Message is no UTF-8.')

    serve(test)


def test_those_without_the_token_do_not_keep_a_page_out() -> None:
    async def test(at: Any) -> None:
        headers = {'Origin': at.url}
        strangers = [
            await at.session.ws_connect(f'{at.url}/ws', headers=headers) for _ in range(60)
        ]
        async with at.session.ws_connect(f'{at.url}/ws', headers=headers) as socket:
            await socket.send_str(HELLO)
            message = await asyncio.wait_for(socket.receive(), 5)
            assert json.loads(message.data)['type'] == 'state'
        oldest = await asyncio.wait_for(strangers[0].receive(), 5)
        assert oldest.type in (WSMsgType.CLOSED, WSMsgType.ERROR)

    serve(test, 'right-token')


def test_one_page_too_many_is_told_so() -> None:
    async def test(at: Any) -> None:
        pages = []
        for _ in range(MAX_CLIENTS):
            page = await at.session.ws_connect(f'{at.url}/ws', headers={'Origin': at.url})
            await page.send_str(HELLO)
            await page.receive()
            pages.append(page)
        closed, told = await ending(at, HELLO)
        assert (closed, told) == (1008, '16 pages are open already; close one.')
        await pages[0].close()
        async with at.session.ws_connect(f'{at.url}/ws', headers={'Origin': at.url}) as socket:
            await socket.send_str(HELLO)
            assert (await socket.receive()).type == WSMsgType.TEXT

    serve(test, 'right-token')
