# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An S3 server on this machine, behind a connection that can be killed.

python benchmarks/fleet_storage.py PORT TARGET     # forwards PORT to TARGET, until it is killed
"""

import asyncio
import contextlib
from pathlib import Path
import socket
import subprocess
import sys
import time
from types import TracebackType


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return int(found.getsockname()[1])


def wait_for_port(port: int, seconds: float = 60.0) -> None:
    """Wait until somebody listens."""
    end_s = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
            return
        if time.monotonic() > end_s:
            msg = f'Nothing listens on port {port} after {seconds} s.'
            raise TimeoutError(msg)
        time.sleep(0.05)


class S3Server:
    """moto's server in a process, and one that forwards to it; `with` it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._target, self.port = free_port(), free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._connection: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What clients need."""
        return {
            'AWS_ENDPOINT_URL': f'http://127.0.0.1:{self.port}',
            'AWS_ACCESS_KEY_ID': 'testing',
            'AWS_SECRET_ACCESS_KEY': 'testing',
            'AWS_DEFAULT_REGION': 'us-east-1',
        }

    def __enter__(self) -> 'S3Server':
        log = (self._folder / 's3.log').open('wb')
        self._server = subprocess.Popen(
            [sys.executable, '-m', 'moto.server', '-H', '127.0.0.1', '-p', str(self._target)],
            stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        wait_for_port(self._target)
        self.connect()
        return self

    def connect(self) -> None:
        """Let clients reach the server."""
        self._connection = subprocess.Popen(
            [sys.executable, __file__, str(self.port), str(self._target)]
        )
        wait_for_port(self.port)

    def cut(self) -> None:
        """Kill the connection, with all that is under way."""
        assert self._connection is not None
        self._connection.kill()
        self._connection.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        assert self._server is not None
        self._server.terminate()
        self._server.wait()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _forward(port: int, target: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection('127.0.0.1', target)
        await asyncio.gather(_pump(reader, outer), _pump(inner, writer))

    server = await asyncio.start_server(serve, '127.0.0.1', port)
    async with server:
        await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(_forward(int(sys.argv[1]), int(sys.argv[2])))
