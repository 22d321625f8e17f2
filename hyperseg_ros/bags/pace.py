# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pace of a played bag: when a message is due, pauses, and what the clock shows."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import select
import sys
import time

_logger = logging.getLogger(__name__)
_STEP_S = 0.01
_MAX_GAP_NS = 86_400 * 10**9
"""Longer silences in a bag are not waited for: a wrong clock wrote some of its times."""


class Pace:
    """Waits for each message's moment, keeps the clock, and pauses on the space key."""

    def __init__(
        self, first_ns: int, rate: float, tick: Callable[[int], None], goes_on: Callable[[], bool]
    ) -> None:
        """Begin.

        Args:
            first_ns: The bag's time that is now.
            rate: Speed as a multiple of the recording's.
            tick: Called with the bag's time [ns] as it goes by.
            goes_on: Tells whether waiting is of use.
        """
        self._first_ns, self._rate = first_ns, rate
        self._tick, self._goes_on = tick, goes_on
        self._last_ns = first_ns
        self._start_s = time.monotonic()
        tick(first_ns)

    def wait_until(self, time_ns: int) -> None:
        """Sleep until a message's moment."""
        if time_ns - self._last_ns > _MAX_GAP_NS:
            gap_days = (time_ns - self._last_ns) / _MAX_GAP_NS
            _logger.warning('A silence of %.1f days in the bag is passed over.', gap_days)
            self._first_ns, self._start_s = time_ns, time.monotonic()
        self._last_ns = max(self._last_ns, time_ns)
        while self._goes_on():
            self._pause_on_space()
            due_s = self._start_s + (time_ns - self._first_ns) / 1e9 / self._rate
            left_s = due_s - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(left_s, _STEP_S))
            elapsed_s = time.monotonic() - self._start_s
            self._tick(min(self._first_ns + round(elapsed_s * self._rate * 1e9), time_ns))
        self._tick(time_ns)

    def _pause_on_space(self) -> None:
        if not _is_space_pressed():
            return
        paused_s = time.monotonic()
        while self._goes_on() and not _is_space_pressed():
            time.sleep(0.05)
        self._start_s += time.monotonic() - paused_s


def _is_space_pressed() -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        return False
    is_ready = select.select([sys.stdin], [], [], 0)[0]
    return bool(is_ready) and sys.stdin.read(1) == ' '


@contextlib.contextmanager
def single_keys() -> Iterator[None]:
    """Let single keys through while playing, where there is a terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
