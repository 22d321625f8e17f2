# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where pages and the graph meet: who looks at what, what is listened to, who gets which frame."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
import contextlib
import time
from typing import Any

from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.class_names import named_classes
from hyperseg_ros.viewer.clients import Client
from hyperseg_ros.viewer.frames import Moment
from hyperseg_ros.viewer.frames import SharedFrame
from hyperseg_ros.viewer.ground_feed import GroundFeed
from hyperseg_ros.viewer.ground_frames import GroundMoment
from hyperseg_ros.viewer.ground_frames import SharedGround
from hyperseg_ros.viewer.node_control import NodeControl
from hyperseg_ros.viewer.protocol import Acknowledge
from hyperseg_ros.viewer.protocol import ChangeState
from hyperseg_ros.viewer.protocol import ListParameters
from hyperseg_ros.viewer.protocol import Look
from hyperseg_ros.viewer.protocol import Request
from hyperseg_ros.viewer.protocol import SetParameter
from hyperseg_ros.viewer.ros_feed import StreamFeed
from hyperseg_ros.viewer.ros_thread import RosThread
from hyperseg_ros.viewer.watch import Watch

_PERIOD_S = 1.0
_MAX_PENDING = 8
"""Requests to nodes that a page may have at work, with the answers that it has not read."""


class Hub:
    """Serves pages, as long as there are any; otherwise nothing is subscribed nor encoded."""

    def __init__(self, ros: RosThread, max_rate_hz: float) -> None:
        """Take the ROS thread and the most frames per second that are sent."""
        self._ros, self._interval_s = ros, 1.0 / max_rate_hz
        self._control = NodeControl(ros)
        self._watch = Watch(ros, self._control)
        self._clients: dict[Client, set[asyncio.Task[None]]] = {}
        self._feeds: dict[str, StreamFeed] = {}
        self._ground_feeds: dict[str, GroundFeed] = {}
        self._offered_s: dict[tuple[str, str], float] = {}
        self._newest: dict[str, SharedFrame] = {}
        self._number = 1
        self._wake = asyncio.Event()
        self._workers = ThreadPoolExecutor(1, 'encode')
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Watch the graph while there are clients, until cancelled."""
        while True:
            self._wake.clear()
            if self._clients:
                await self._watch.listen(self._tell)
                await self._look_around()
            else:
                await self._update_feeds()
                await self._watch.stop_listening()
            with contextlib.suppress(asyncio.TimeoutError):
                period_s = _PERIOD_S if self._clients else None
                await asyncio.wait_for(self._wake.wait(), period_s)

    async def _look_around(self) -> None:
        await self._watch.scan()
        await self._update_feeds()
        self._tell()
        await self._watch.ask(self._ground_feeds.keys())
        await self._update_grounds()
        self._tell()

    def _tell(self) -> None:
        state = self._watch.state()
        for client in self._clients:
            if not client.is_stalled:
                client.offer_state(state)

    async def _update_feeds(self) -> None:
        """Listen to what somebody looks at, and to nothing else."""
        streams = self._watch.streams
        wanted: dict[str, bool] = {}
        for client in self._clients:
            if client.stream in streams and not client.is_stalled:
                has_confidence = client.has_confidence or wanted.get(client.stream, False)
                wanted[client.stream] = has_confidence

        def update() -> None:
            for name in self._feeds.keys() - wanted.keys():
                self._feeds.pop(name).close()
            for name, has_confidence in wanted.items():
                if name not in self._feeds:
                    self._feeds[name] = StreamFeed(
                        self._ros.node, streams[name], self._on_moment, self._on_names
                    )
                self._feeds[name].update(streams[name].picture, has_confidence=has_confidence)

        await self._ros.run(update)
        await self._update_grounds()
        for name in self._newest.keys() - wanted.keys():
            self._newest.pop(name, None)

    async def _update_grounds(self) -> None:
        grounds = self._watch.grounds
        wanted = {
            name: grounds[name]
            for name in {client.ground for client in self._clients if not client.is_stalled}
            if name in grounds
        }

        def update() -> None:
            for name, feed in list(self._ground_feeds.items()):
                if name not in wanted or wanted[name].parts != feed.ground.parts:
                    self._ground_feeds.pop(name).close()
            for name, ground in wanted.items():
                if name not in self._ground_feeds:
                    self._ground_feeds[name] = GroundFeed(self._ros.node, ground, self._on_ground)
                self._ground_feeds[name].update(ground, self._watch.ground_values(name))

        await self._ros.run(update)

    def _on_moment(self, moment: Moment) -> None:
        """Hand a moment to the loop; called in the ROS thread."""
        if self._is_due('stream', moment.stream):
            self._loop.call_soon_threadsafe(self._offer, moment)

    def _on_ground(self, ground: GroundMoment) -> None:
        """Hand what is said of a ground to the loop; called in the ROS thread."""
        if self._is_due('ground', ground.moment.stream):
            self._loop.call_soon_threadsafe(self._offer_ground, ground)

    def _is_due(self, kind: str, name: str) -> bool:
        now_s = time.monotonic()
        # A tenth early: a camera of exactly this rate jitters.
        if now_s - self._offered_s.get((kind, name), 0.0) < 0.9 * self._interval_s:
            return False
        self._offered_s[kind, name] = now_s
        return True

    def _offer(self, moment: Moment) -> None:
        self._number += 2
        frame = SharedFrame(moment, self._number, self._workers)
        self._newest[moment.stream] = frame
        for client in self._clients:
            if client.stream == moment.stream and not client.is_stalled:
                client.offer_frame(frame)

    def _offer_ground(self, ground: GroundMoment) -> None:
        self._number += 2
        frame = SharedGround(ground, self._number, self._workers)
        for client in self._clients:
            if client.ground == ground.moment.stream and not client.is_stalled:
                client.offer_ground(frame)

    def _on_names(self, stream: str, names: list[tuple[int, str]]) -> None:
        classes = named_classes(names)
        self._loop.call_soon_threadsafe(self._watch.learn_names, stream, classes)
        self._loop.call_soon_threadsafe(self._tell)

    def enter(self, client: Client) -> None:
        """Serve a client from now on."""
        self._clients[client] = set()
        self._wake.set()

    def leave(self, client: Client) -> None:
        """Serve it no longer."""
        for task in self._clients.pop(client, ()):
            task.cancel()
        self._wake.set()

    @property
    def num_clients(self) -> int:
        """How many pages are served."""
        return len(self._clients)

    def take(self, client: Client, request: Request) -> None:
        """Do what a client asks for.

        Raises:
            InputError: If it asks for what no page asks for.
        """
        if isinstance(request, Acknowledge):
            was_stalled = client.is_stalled
            client.acknowledge(request.number)
            if was_stalled:
                self._wake.set()
        elif isinstance(request, Look):
            client.look(
                request.stream, has_confidence=request.has_confidence, ground=request.ground
            )
            newest = self._newest.get(request.stream)
            if newest is not None:
                client.offer_frame(newest)
            self._wake.set()
        elif isinstance(request, ListParameters | SetParameter | ChangeState):
            tasks = self._clients[client]
            if len(tasks) + client.num_answers >= _MAX_PENDING:
                msg = f'{_MAX_PENDING} requests wait to be answered or read; ask less.'
                raise InputError(msg)
            task = asyncio.create_task(self._answer(client, request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            msg = 'Message hello comes once, first.'
            raise InputError(msg)

    async def _answer(
        self, client: Client, request: ListParameters | SetParameter | ChangeState
    ) -> None:
        """Ask a node on a client's behalf."""
        try:
            self._watch.check_node(request.node)
            answer = await self._ask(request)
        except HyperSegError as error:
            answer = {'error': str(error)}
        client.answer({'type': 'answer', 'request': request.request, **answer})

    async def _ask(
        self, request: ListParameters | SetParameter | ChangeState
    ) -> Mapping[str, Any]:
        if isinstance(request, ListParameters):
            return {'parameters': await self._control.parameters(request.node)}
        if isinstance(request, SetParameter):
            told = await self._control.set_parameter(request.node, request.name, request.value)
        else:
            told = await self._control.change_state(request.node, request.transition)
            self._wake.set()
        return {'error': told}
