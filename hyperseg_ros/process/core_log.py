# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `hyperseg_core` logs, in the log of a node: engines say there what they do and why."""

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger


class NodeLogHandler(logging.Handler):
    """Passes records on; each severity has a line of its own, as rclpy wants it."""

    def __init__(self, logger: RcutilsLogger) -> None:
        """Take the node's logger."""
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record."""
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def log_to(logger: RcutilsLogger) -> None:
    """Send the log of this process's `hyperseg_core` to a node's."""
    core = logging.getLogger('hyperseg_core')
    core.setLevel(logging.INFO)
    core.propagate = False
    core.handlers = [NodeLogHandler(logger)]
