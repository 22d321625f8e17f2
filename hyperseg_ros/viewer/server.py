# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page's server: files from a fixed table, and one WebSocket per page."""

import asyncio
from collections.abc import Mapping
import contextlib
from importlib import resources
import logging
from typing import Any
from typing import Protocol

from aiohttp import WSCloseCode
from aiohttp import WSMsgType
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.access import is_loopback
from hyperseg_ros.viewer.access import is_token
from hyperseg_ros.viewer.access import problem_with_host
from hyperseg_ros.viewer.access import problem_with_origin
from hyperseg_ros.viewer.access import served_names
from hyperseg_ros.viewer.clients import Client
from hyperseg_ros.viewer.protocol import MAX_REQUEST_BYTES
from hyperseg_ros.viewer.protocol import Hello
from hyperseg_ros.viewer.protocol import Request
from hyperseg_ros.viewer.protocol import close_reason
from hyperseg_ros.viewer.protocol import parse_request

PAGE_FILES: Mapping[str, str] = {
    'index.html': 'text/html',
    'style.css': 'text/css',
    'main.js': 'text/javascript',
    'connection.js': 'text/javascript',
    'picture.js': 'text/javascript',
    'classes.js': 'text/javascript',
    'charts.js': 'text/javascript',
    'controls.js': 'text/javascript',
    'birdseye.js': 'text/javascript',
    'timeline.js': 'text/javascript',
    'icon.svg': 'image/svg+xml',
}
"""All that is served, and as what; no path of a request reaches the file system."""
_HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-cache',
}
_HELLO_S = 10.0
_HEARTBEAT_S = 15.0
MAX_CLIENTS = 16
"""Pages that are served."""
_MAX_STRANGERS = 16
"""Sockets that have not shown their token; the oldest makes room."""
_REASONS: Mapping[int, str] = {
    WSCloseCode.MESSAGE_TOO_BIG: f'Message is longer than {MAX_REQUEST_BYTES} bytes.',
    WSCloseCode.INVALID_TEXT: 'Message is no UTF-8.',
    WSCloseCode.PROTOCOL_ERROR: 'Message is no part of a WebSocket.',
}
"""Of what aiohttp itself closes for, which gives the code alone."""


def read_page() -> dict[str, bytes]:
    """Read the page's files, from a checkout or an installation."""
    folder = resources.files('hyperseg_ros.viewer') / 'page'
    return {name: (folder / name).read_bytes() for name in PAGE_FILES}


class Hub(Protocol):
    """Where pages get what they show: of the graph, or of files."""

    def enter(self, client: Client) -> None:
        """Serve a client from now on."""

    def leave(self, client: Client) -> None:
        """Serve it no longer."""

    def take(self, client: Client, request: Request) -> None:
        """Do what a client asks for.

        Raises:
            InputError: If it asks for what no page asks for.
        """

    async def run(self) -> None:
        """Work until cancelled."""


class _Socket(web.WebSocketResponse):
    """A WebSocket that is never closed without a reason."""

    async def close(
        self, *, code: int = WSCloseCode.OK, message: bytes = b'', **more: Any
    ) -> bool:
        """Close it."""
        reason = message or _REASONS.get(code, '').encode()
        return await super().close(code=code, message=reason, **more)


class Server:
    """Checks who asks, and hands WebSockets to the hub."""

    def __init__(self, hub: Hub, host: str, token: str) -> None:
        """Read the page.

        Args:
            hub: Where pages get what they show.
            host: Address that is listened on.
            token: What a page must know; '' where anybody may look.
        """
        self._hub, self._token = hub, token
        self._names = served_names(host)
        self._takes_addresses = not is_loopback(host)
        self._page = read_page()
        self._sockets: set[web.WebSocketResponse] = set()
        self._strangers: dict[web.WebSocketResponse, asyncio.Transport | None] = {}
        """Those of the sockets that have not shown the token, the oldest first."""
        self._num_pages = 0

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application(middlewares=[self._check_host], client_max_size=1024)
        app.router.add_get('/ws', self._serve_socket)
        app.router.add_get('/', self._serve_file)
        app.router.add_get('/{name}', self._serve_file)
        app.on_shutdown.append(self._close_all)
        logging.getLogger('aiohttp.server').addFilter(_is_about_us)
        return app

    @web.middleware
    async def _check_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        problem = problem_with_host(
            request.headers.get('Host'), self._names, takes_addresses=self._takes_addresses
        )
        if problem:
            return web.Response(status=403, text=problem, headers=_HEADERS)
        return await handler(request)

    async def _serve_file(self, request: web.Request) -> web.Response:
        name = request.match_info.get('name', 'index.html')
        if name not in self._page:
            return web.Response(status=404, text='There is no such file.', headers=_HEADERS)
        return web.Response(
            body=self._page[name], content_type=PAGE_FILES[name], charset='utf-8',
            headers=_HEADERS,
        )  # fmt: skip

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        origin, host = request.headers.get('Origin'), request.headers.get('Host')
        problem = problem_with_origin(origin, host)
        if problem:
            return web.Response(status=403, text=problem, headers=_HEADERS)
        # Pictures are compressed already, and compressing them again costs the robot.
        socket = _Socket(max_msg_size=MAX_REQUEST_BYTES, heartbeat=_HEARTBEAT_S, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        self._strangers[socket] = request.transport
        self._make_room()
        try:
            await self._converse(socket)
        except InputError as error:
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=close_reason(str(error)))
        finally:
            self._sockets.discard(socket)
            self._strangers.pop(socket, None)
        return socket

    def _make_room(self) -> None:
        """Cut off those that have said nothing for longest, if there are too many of them."""
        while len(self._strangers) > _MAX_STRANGERS:
            transport = self._strangers.pop(next(iter(self._strangers)))
            if transport is not None:  # asking it to close would wait for its answer
                transport.abort()

    async def _converse(self, socket: web.WebSocketResponse) -> None:
        """Let a page in, and serve it until it leaves.

        Raises:
            InputError: If it has not the token, or says what no page says.
        """
        try:
            first = await asyncio.wait_for(_receive(socket), _HELLO_S)
        except asyncio.TimeoutError as err:
            msg = f'Nothing was said within {_HELLO_S:g} s.'
            raise InputError(msg) from err
        if first is None:
            return
        hello = parse_request(first)
        if not isinstance(hello, Hello) or (
            self._token and not is_token(hello.token, self._token)
        ):
            msg = 'The token is missing or wrong; open the address that `hyperseg view` printed.'
            raise InputError(msg)
        if self._num_pages >= MAX_CLIENTS:
            msg = f'{MAX_CLIENTS} pages are open already; close one.'
            raise InputError(msg)
        self._strangers.pop(socket, None)

        async def send(message: bytes | str) -> None:
            with contextlib.suppress(ConnectionError):  # the page has left; reading says so
                if isinstance(message, str):
                    await socket.send_str(message)
                else:
                    await socket.send_bytes(message)

        client = Client(send)
        sending = asyncio.create_task(client.run())
        self._num_pages += 1
        self._hub.enter(client)
        try:
            while (text := await _receive(socket)) is not None:
                self._hub.take(client, parse_request(text))
        finally:
            self._num_pages -= 1
            self._hub.leave(client)
            sending.cancel()

    async def _close_all(self, app: web.Application) -> None:
        sockets = list(self._sockets)
        await asyncio.gather(
            *(item.close(code=WSCloseCode.GOING_AWAY, message=b'The server ends.')
              for item in sockets)
        )  # fmt: skip


def _is_about_us(record: logging.LogRecord) -> bool:
    """Tell whether a message of aiohttp is worth a log: what is no HTTP is answered, no more."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


async def _receive(socket: web.WebSocketResponse) -> str | None:
    """Return the next text; None when the page has left.

    Raises:
        InputError: If it is no text.
    """
    message = await socket.receive()
    if message.type == WSMsgType.TEXT:
        return message.data
    if message.type == WSMsgType.BINARY:
        msg = 'Pages send texts, not bytes.'
        raise InputError(msg)
    return None
