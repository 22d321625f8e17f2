# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A limit on how many frames per second are segmented."""

import math


class RateLimit:
    """Lets frames through at no more than a rate on average, whatever the camera's jitter."""

    def __init__(self) -> None:
        """Let the first frame through."""
        self._due_s = -math.inf

    def admits(self, arrived_s: float, max_rate_hz: float) -> bool:
        """Tell whether a frame is due; 0 Hz is no limit. A tenth of a period early is in time."""
        if not max_rate_hz:
            return True
        period_s = 1 / max_rate_hz
        if arrived_s < self._due_s - 0.1 * period_s:
            return False
        # The schedule goes on from the moment that was due, not from the frame's, or the tenths
        # would add up to a higher rate; after a pause it starts anew.
        self._due_s = max(self._due_s, arrived_s - period_s) + period_s
        return True
