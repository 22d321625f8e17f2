# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the viewer knows of the graph at a moment, and the state that pages get of it."""

import asyncio
from collections.abc import Callable
from collections.abc import Iterable
import os
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.class_names import Class
from hyperseg_ros.viewer.class_names import classes_of_checkpoint
from hyperseg_ros.viewer.ground_sight import PARAMETERS as GROUND_PARAMETERS
from hyperseg_ros.viewer.health import cause_without_cameras
from hyperseg_ros.viewer.health import cause_without_masks
from hyperseg_ros.viewer.health import engine_report
from hyperseg_ros.viewer.health import owner_of
from hyperseg_ros.viewer.health import report
from hyperseg_ros.viewer.node_control import NodeControl
from hyperseg_ros.viewer.planners import Ground
from hyperseg_ros.viewer.planners import find_grounds
from hyperseg_ros.viewer.ros_thread import RosThread
from hyperseg_ros.viewer.segmenters import FoundNode
from hyperseg_ros.viewer.segmenters import Stream
from hyperseg_ros.viewer.segmenters import find_nodes
from hyperseg_ros.viewer.segmenters import with_topics

_OWN_PARAMETERS = {'confidence_threshold', 'fallback_ready', 'overlay_alpha'}
"""What a segmenter has that is not configured yet, and hardly anything else."""
_STATE_S = 1.0


class Watch:
    """Looks into the graph when it is told to; keeps nothing of nodes that have left."""

    def __init__(self, ros: RosThread, control: NodeControl) -> None:
        """Take the ROS thread and what asks nodes."""
        self._ros, self._control = ros, control
        self._nodes: dict[str, FoundNode] = {}
        self.grounds: dict[str, Ground] = {}
        """The nodes that say where the ground is free, by their names."""
        self._ground_values: dict[str, dict[str, Any]] = {}
        self._is_segmenter: dict[str, bool] = {}
        self._lifecycle: dict[str, tuple[str, list[str]]] = {}
        self._reports: dict[tuple[str, str], dict[str, Any]] = {}
        self._heard_s: dict[str, float] = {}
        """When each node last spoke, or since when we listen to it."""
        self._classes: dict[str, list[Class]] = {}
        self._diagnostics: Any = None

    @property
    def streams(self) -> dict[str, Stream]:
        """The cameras that there are, by their masks' topics."""
        return {item.mask: item for name in self._segmenters() for item in self._streams(name)}

    def check_node(self, name: str) -> None:
        """Refuse the name of anything but a segmenter.

        Raises:
            InputError: If it is none.
        """
        if name not in self._segmenters():
            msg = f'{name!r:.80} is no segmenter in the graph.'
            raise InputError(msg)

    def _segmenters(self) -> list[str]:
        return [
            name
            for name, node in self._nodes.items()
            if node.streams or self._is_segmenter.get(name)
        ]

    def _streams(self, name: str) -> tuple[Stream, ...]:
        told = {
            part: item.get('topic', '')
            for (node, part), item in self._reports.items()
            if node == name
        }
        return with_topics(self._nodes[name].streams, told)

    async def listen(self, on_message: Callable[[], None]) -> None:
        """Subscribe to diagnostics; `on_message` is called, in the loop, after each of them."""
        loop = asyncio.get_running_loop()

        def on_diagnostics(message: Any) -> None:
            loop.call_soon_threadsafe(self._on_diagnostics, message, on_message)

        def subscribe() -> None:
            if self._diagnostics is None:
                self._diagnostics = self._ros.node.create_subscription(
                    DiagnosticArray, '/diagnostics', on_diagnostics, 10
                )

        await self._ros.run(subscribe)

    async def stop_listening(self) -> None:
        """Unsubscribe, and forget what will be old when somebody looks again."""

        def unsubscribe() -> None:
            if self._diagnostics is not None:
                self._ros.node.destroy_subscription(self._diagnostics)
                self._diagnostics = None

        await self._ros.run(unsubscribe)
        self._reports.clear()
        self._heard_s.clear()

    def _on_diagnostics(self, message: Any, on_message: Callable[[], None]) -> None:
        is_ours = False
        for status in message.status:
            node, part = owner_of(status)
            if node in self._nodes:
                is_ours = True
                self._heard_s[node] = time.monotonic()
                make = engine_report if part == 'engine' else report
                self._reports[node, part] = {
                    **make(status), 'heard_s': round(self._heard_s[node], 3),
                }  # fmt: skip
        if is_ours:
            on_message()

    def learn_names(self, stream: str, classes: list[Class]) -> None:
        """Take what a stream's ids mean."""
        self._classes[stream] = classes

    async def scan(self) -> None:
        """Look which nodes there are; quick."""
        found = await self._ros.run(lambda: find_nodes(self._ros.node))
        grounds = await self._ros.run(lambda: find_grounds(self._ros.node))
        for name in self.grounds.keys() - {ground.name for ground in grounds}:
            self._ground_values.pop(name, None)
            await self._control.forget(name)
        self.grounds = {ground.name: ground for ground in grounds}
        gone = self._nodes.keys() - {node.name for node in found}
        self._nodes = {node.name: node for node in found}
        if self._diagnostics is not None:
            for name in self._nodes:  # one that never speaks is silent too
                self._heard_s.setdefault(name, time.monotonic())
        for name in gone:
            self._is_segmenter.pop(name, None)
            self._lifecycle.pop(name, None)
            self._heard_s.pop(name, None)
            self._reports = {key: item for key, item in self._reports.items() if key[0] != name}
            await self._control.forget(name)
        streams = self.streams
        self._classes = {name: item for name, item in self._classes.items() if name in streams}

    def ground_values(self, name: str) -> dict[str, Any]:
        """Return the parameters of a ground's node that say where its camera is; or nothing."""
        return self._ground_values.get(name, {})

    async def ask(self, grounds: Iterable[str]) -> None:
        """Ask the nodes what the graph does not tell; a node that hangs is waited for a second.

        Args:
            grounds: Names of those that somebody looks at.
        """
        nodes = [self._ask(node) for node in list(self._nodes.values())]
        await asyncio.gather(*nodes, *map(self._ask_ground, list(grounds)))

    async def _ask_ground(self, name: str) -> None:
        try:
            asked = self._control.parameter_values(name, GROUND_PARAMETERS)
            self._ground_values[name] = await asyncio.wait_for(asked, _STATE_S)
        except (HyperSegError, asyncio.TimeoutError):
            self._ground_values.pop(name, None)

    async def _ask(self, node: FoundNode) -> None:
        try:
            await asyncio.wait_for(self._ask_node(node), _STATE_S)
        except (HyperSegError, asyncio.TimeoutError):
            self._lifecycle.pop(node.name, None)

    async def _ask_node(self, node: FoundNode) -> None:
        if not node.streams and node.name not in self._is_segmenter:
            names = await self._control.parameter_names(node.name)
            self._is_segmenter[node.name] = _OWN_PARAMETERS <= set(names)
        if node.name not in self._segmenters():
            return
        if node.is_lifecycle:
            self._lifecycle[node.name] = await self._control.state(node.name)
        unnamed = [stream for stream in node.streams if stream.mask not in self._classes]
        if unnamed:
            checkpoint = await self._control.parameter(node.name, 'checkpoint')
            for stream in unnamed:
                self._classes.setdefault(stream.mask, classes_of_checkpoint(str(checkpoint)))

    def state(self) -> dict[str, Any]:
        """Return what pages are told."""
        names = self._segmenters()
        domain = os.environ.get('ROS_DOMAIN_ID') or '0'
        cause = '' if names else (
            f'No segmenter in the graph (ROS_DOMAIN_ID {domain}). Start one: '
            f'ros2 launch hyperseg_ros segmenter.launch.py image:=/camera/image_raw'
        )  # fmt: skip
        return {
            'type': 'state',
            'cause': cause,
            'segmenters': [self._segmenter_state(name) for name in names],
            'grounds': [{'name': item.name, 'mask': item.mask} for item in self.grounds.values()],
        }

    def _segmenter_state(self, name: str) -> dict[str, Any]:
        lifecycle, transitions = self._lifecycle.get(name, ('', []))
        heard_s = self._heard_s.get(name)
        silent_s = None if heard_s is None else time.monotonic() - heard_s
        # A node that cannot be configured says so under its own name, not a camera's.
        failed = self._reports.get((name, 'segmenter')) if lifecycle != 'active' else None
        streams = []
        for stream in self._streams(name):
            told = failed or self._reports.get((name, stream.name))
            cause = cause_without_masks(name, lifecycle, silent_s, told)
            streams.append({
                'id': stream.mask, 'name': stream.name, 'topic': stream.picture,
                'classes': self._classes.get(stream.mask, []), 'report': told, 'cause': cause,
            })  # fmt: skip
        cause = cause_without_masks(name, lifecycle, silent_s, failed)
        if not streams:
            cause = cause or cause_without_cameras(name, lifecycle)
        return {
            'name': name, 'lifecycle': lifecycle, 'transitions': transitions,
            'engine': self._reports.get((name, 'engine')), 'streams': streams, 'cause': cause,
        }  # fmt: skip
