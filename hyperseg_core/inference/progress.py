# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far a build is: engines report, whoever asked for them listens.

TensorRT tries kernels for minutes; whoever waits should know that something happens.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from contextvars import ContextVar
import logging
import time

_logger = logging.getLogger(__name__)
_LOG_S = 5.0
Report = Callable[[str], None]
"""Takes what is being done, for people; called often, from any thread."""


def _report_nothing(text: str) -> None:
    """Nobody listens."""


_listener: ContextVar[Report] = ContextVar('listener', default=_report_nothing)


def current_report() -> Report:
    """Return what to report to; take it before a library calls back from its own threads."""
    return _listener.get()


@contextlib.contextmanager
def reported_to(report: Report) -> Iterator[None]:
    """Let engines that are built meanwhile, by this thread, report."""
    token = _listener.set(report)
    try:
        yield
    finally:
        _listener.reset(token)


class BuildProgress:
    """Keeps the last report, and logs one every few seconds."""

    def __init__(self) -> None:
        """Nothing is being built."""
        self.text = ''
        """What is being done; '' while nothing is."""
        self._logged_s = 0.0

    def report(self, text: str) -> None:
        """Take a report."""
        self.text = text
        now_s = time.monotonic()
        if text and now_s - self._logged_s >= _LOG_S:
            self._logged_s = now_s
            _logger.info('%s', text)
