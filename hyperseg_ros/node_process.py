# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How our processes run a node: Python's own signal handlers, everything released, status 0."""

from collections.abc import Callable
import signal
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions


def _interrupt(*_: Any) -> None:
    """Turn SIGTERM, which launch sends, into what Ctrl-C does."""
    raise KeyboardInterrupt


def run_node(
    create: Callable[[], Node],
    args: list[str] | None,
    release: Callable[[Any], None] | None = None,
) -> None:
    """Spin a node until SIGINT or SIGTERM.

    An interrupt that Python handles leaves the executor in order, where rclpy's own handler
    would shut the context down under a worker that still publishes.

    Args:
        create: Makes the node.
        args: Command line, or None for the process's own.
        release: Called with the node before it is destroyed.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGTERM, _interrupt)
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = create()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if node is not None:
            if release is not None:
                release(node)
            node.destroy_node()
        rclpy.try_shutdown()
