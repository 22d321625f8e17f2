# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages that were sent and no callback got, counted for one subscription."""

from collections.abc import Mapping
from typing import Any

from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.sequence_gaps import SequenceGaps

_MAX_LOST = 1 << 20
"""Messages that may get lost between two looks; more is no count."""


class LossCounter:
    """Counts what the middleware lost, and what newer messages replaced unread."""

    def __init__(self, health: StreamHealth) -> None:
        """Take where it is counted."""
        self._health, self._gaps = health, SequenceGaps()

    def on_received(self, info: Mapping[str, Any]) -> None:
        """Count a message that arrived, by rclpy's MessageInfo."""
        self._health.frame_received(self._gaps.before(info))

    def on_message_lost(self, event: Any) -> None:
        """Count what the middleware says that it lost."""
        # Fast DDS's count overflows now and then, and arrives as a number beyond all frames.
        count = event.total_count_change
        self._health.frames_lost(count if count < _MAX_LOST else 1)
