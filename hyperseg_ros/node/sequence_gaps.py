# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that a publisher sent and no callback got, by the numbers that the middleware gives."""

from collections.abc import Mapping
from typing import Any

_MAX_PUBLISHERS = 16


class SequenceGaps:
    """Counts what is missing between the messages of each publisher."""

    def __init__(self) -> None:
        """Start without knowing any publisher."""
        self._last: dict[bytes, int] = {}
        self._is_ambiguous = False

    def before(self, info: Mapping[str, Any]) -> int:
        """Return how many messages of the same publisher are missing before this one.

        Args:
            info: rclpy's MessageInfo. Without a sequence number (before Jazzy) nothing is known;
                without a publisher's id (before Kilted) nothing more once numbers went back, as
                there are several publishers then, or a new one.
        """
        number = info.get('publication_sequence_number')
        if number is None or self._is_ambiguous:
            return 0
        publisher = bytes(info.get('publisher_gid', {}).get('data', b''))
        last = self._last.pop(publisher, None)
        self._last[publisher] = number
        if len(self._last) > _MAX_PUBLISHERS:
            self._last.pop(next(iter(self._last)))
        if last is None:
            return 0
        self._is_ambiguous = not publisher and number <= last
        return max(0, number - last - 1)
