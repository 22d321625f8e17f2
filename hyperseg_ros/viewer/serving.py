# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page's server from its start to its end."""

import asyncio
from collections.abc import Callable
import contextlib
import signal
import socket

from aiohttp import web

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.server import Hub
from hyperseg_ros.viewer.server import Server

_EVERYWHERE = {'', '0.0.0.0', '::'}


async def serve(make_hub: Callable[[], Hub], host: str, port: int, token: str) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status.

    Args:
        make_hub: Makes what pages get theirs from, in the loop.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        token: What pages must know; '' where anybody who reaches us may look.

    Raises:
        InputError: If that address or port cannot be listened on.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hub = make_hub()
    runner = web.AppRunner(
        Server(hub, host, token).application(), access_log=None, shutdown_timeout=1.0
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as err:
        await runner.cleanup()
        msg = (
            f'Cannot listen on {host} port {port}: {err.strerror}; give another --port or --host.'
        )
        raise InputError(msg) from err
    bound = runner.addresses[0][1]
    name = socket.gethostname() if host in _EVERYWHERE else host
    shown = f'[{name}]' if ':' in name else name
    # After `#`, a browser keeps it to itself: in no request, no log, no referrer.
    print(f'http://{shown}:{bound}/' + (f'#{token}' if token else ''), flush=True)  # noqa: T201
    watching = asyncio.create_task(hub.run())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
    has_failed = watching.done()
    watching.cancel()
    await runner.cleanup()
    with contextlib.suppress(asyncio.CancelledError):
        await watching  # raises what ended it
    return 1 if has_failed else 0
