# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one camera put together by their stamps: picture, mask, confidence."""

from collections.abc import Iterable
from typing import Any

Stamp = tuple[int, int]
"""Seconds and nanoseconds."""
_MAX_WAITING = 32
"""Stamps that may wait for the rest: a second of 30 Hz."""
_PATIENCE_S = 2.0


class Pairing:
    """Waits until all of a stamp has come; where that never happens, takes what there is."""

    def __init__(self, layers: Iterable[str]) -> None:
        """Take the names of what belongs together."""
        self._layers = set(layers)
        self._waiting: dict[Stamp, dict[str, Any]] = {}
        self._complete_s: float | None = None
        self._shown_s = 0.0
        self._newest: Stamp = (0, 0)

    def expect(self, layers: Iterable[str]) -> None:
        """Wait for these from now on."""
        self._layers = set(layers)

    def add(
        self, layer: str, stamp: Stamp, payload: Any, now_s: float
    ) -> tuple[Stamp, dict[str, Any]] | None:
        """Take a message; returns a stamp and its layers when they are to be shown.

        Args:
            layer: Which it is.
            stamp: Of its header.
            payload: The message.
            now_s: Monotonic time [s].
        """
        if self._complete_s is None:
            self._complete_s = now_s
        found = self._waiting.setdefault(stamp, {})
        found[layer] = payload
        if self._layers <= found.keys():
            self._complete_s, self._newest, self._shown_s = now_s, stamp, now_s
            for known in list(self._waiting):  # none before this one is shown any more
                del self._waiting[known]
                if known == stamp:
                    break
            return stamp, found
        while len(self._waiting) > _MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        # Where stamps have gone back, as of a bag that begins anew, none would ever be newer.
        is_newest = stamp >= self._newest or now_s - self._shown_s > _PATIENCE_S
        if now_s - self._complete_s > _PATIENCE_S and is_newest:
            self._newest, self._shown_s = stamp, now_s
            return stamp, dict(found)
        return None
