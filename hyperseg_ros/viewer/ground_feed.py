# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ground's messages while somebody looks at it; everything here runs in the ROS thread."""

from collections.abc import Callable
from collections.abc import Mapping
import functools
import importlib
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.frames import Moment
from hyperseg_ros.viewer.ground_frames import GroundMoment
from hyperseg_ros.viewer.ground_sight import GroundSight
from hyperseg_ros.viewer.pairing import Pairing
from hyperseg_ros.viewer.planners import KINDS
from hyperseg_ros.viewer.planners import Ground
from hyperseg_ros.viewer.ros_feed import stamp_of

MAX_BYTES: Mapping[str, int] = {'scan': 2**22, 'grid': 2**24, 'free_space': 2**18}
"""Of messages that are read: a million ranges, 4096 x 4096 cells, 20 000 corners."""


class GroundFeed:
    """Subscribes to scan, grid and free space of one node."""

    def __init__(
        self, node: Node, ground: Ground, on_moment: Callable[[GroundMoment], None]
    ) -> None:
        """Subscribe.

        Args:
            node: Ours.
            ground: Whose messages.
            on_moment: Called with those that belong together.
        """
        self._node, self.ground, self._on_moment = node, ground, on_moment
        self._sight = GroundSight(node)
        self._subscriptions: list[Any] = []
        # Volatile, though the grid is latched: an old one would look like the ground of now.
        qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
        parts = []
        for part in ground.parts:
            kind = _message_class(KINDS[part])
            if kind is None:
                node.get_logger().warning(
                    f'{KINDS[part].partition("/")[0]} is not installed: {ground.name}/{part} is '
                    f'not shown.', once=True,
                )  # fmt: skip
                continue
            parts.append(part)
            on_message = functools.partial(self._on_message, part, kind)
            self._subscriptions.append(
                node.create_subscription(kind, f'{ground.name}/{part}', on_message, qos, raw=True)
            )
        self._pairing = Pairing(parts)

    def update(self, ground: Ground, values: Mapping[str, Any]) -> None:
        """Take what is known now of the node's camera and its parameters."""
        self._sight.update(ground, values)

    def _on_message(self, part: str, kind: Any, data: bytes) -> None:
        if len(data) > MAX_BYTES[part]:
            read: Callable[[], Any] = functools.partial(_refuse, len(data), MAX_BYTES[part])
        else:
            read = functools.partial(deserialize_message, data, kind)
        found = self._pairing.add(part, stamp_of(data), read, time.monotonic())
        if found is not None:
            moment = Moment(self.ground.name, *found)
            self._on_moment(GroundMoment(moment, self._sight.at))

    def close(self) -> None:
        """Unsubscribe from everything."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._sight.close()


def _message_class(name: str) -> Any:
    package, _, kind = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), kind)
    except ImportError:
        return None


def _refuse(size: int, most: int) -> Any:
    msg = f'The message has {size} bytes, at most {most} are read.'
    raise InputError(msg)
