# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a fleet is: bags, frames per second, failures, time left; on a terminal or in lines."""

import logging
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn

_logger = logging.getLogger(__name__)
_EVERY_S = 30.0


class FleetProgress:
    """Shows how far a run is; `with` it."""

    def __init__(self, num_bags: int, num_bytes: int, noun: str = 'bags') -> None:
        """Start.

        Args:
            num_bags: That are to be worked on.
            num_bytes: Of all of them; the time left is reckoned by these.
            noun: What is counted.
        """
        self._num_bags, self._num_bytes = num_bags, num_bytes
        self._done = self._failed = self._frames = self._bytes = 0
        self._start_s = self._told_s = time.monotonic()
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn(noun), BarColumn(), MofNCompleteColumn(),
            TextColumn('{task.description}'), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task('', total=num_bags)
        self._is_shown = console.is_terminal

    def __enter__(self) -> 'FleetProgress':
        """Show it."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def add(self, *, num_bytes: int, num_frames: int, is_failed: bool) -> None:
        """Count a bag that is finished."""
        self._done += 1
        self._failed += is_failed
        self._frames += num_frames
        self._bytes += num_bytes
        self._progress.update(self._task, completed=self._done, description=self.text())
        now_s = time.monotonic()
        is_due = now_s - self._told_s > _EVERY_S or self._done == self._num_bags
        if is_due and not self._is_shown:
            self._told_s = now_s
            _logger.info('%d of %d bags: %s', self._done, self._num_bags, self.text())

    def text(self) -> str:
        """Return rates, failures and time left in words."""
        elapsed_s = max(time.monotonic() - self._start_s, 1e-3)
        words = [f'{self._frames / elapsed_s:.1f} frames/s', f'{self._failed} failed']
        if 0 < self._bytes < self._num_bytes:
            left_s = elapsed_s * (self._num_bytes / self._bytes - 1)
            words.append(f'{_duration(left_s)} left')
        else:
            words.append(f'after {_duration(elapsed_s)}')
        return ', '.join(words)


def _duration(seconds: float) -> str:
    """Return hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{rest:02}'
