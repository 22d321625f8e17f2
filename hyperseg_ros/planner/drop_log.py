# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is left out: counted, and told in one line, each cause by itself."""

import time

from rclpy.node import Node

from hyperseg_core.errors import HyperSegError
from hyperseg_ros.node.health import StreamHealth

_PAUSE_S = 5.0
"""How long a cause that comes again is not told again."""


class DropLog:
    """Counts and tells; another cause's line does not keep one back, as rclpy's throttle would."""

    def __init__(self, node: Node, health: StreamHealth) -> None:
        """Take whose log and counts they are."""
        self._node, self._health = node, health
        self._told_s: dict[str, float] = {}

    def drop(self, topic: str, cause: str, error: object) -> None:
        """Count a message of a topic that is left out, and say why."""
        words = ' '.join(str(error).split())
        if isinstance(error, Exception) and not isinstance(error, HyperSegError):
            words = f'{type(error).__name__}: {words}'
        self._health.frame_dropped(cause, words)
        now_s = time.monotonic()
        if now_s - self._told_s.get(cause, -_PAUSE_S) >= _PAUSE_S:
            self._told_s[cause] = now_s
            self._node.get_logger().warning(f'{topic}: left out, {cause}: {words}')
