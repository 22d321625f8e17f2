# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How our processes run a node: Python's own signal handlers, everything released, status 0."""

from collections.abc import Callable
import signal
import threading
from typing import Any

import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hyperseg_core.process_memory import keep_message_memory
from hyperseg_ros.process.leaving import end_process
from hyperseg_ros.process.leaving import leave_graph

_SIGNAL_S = 0.25
"""How often the executor looks up from its wait for messages, which signals do not end."""


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set, and that is all they do.

    rclpy's own handler would shut the context down under a worker that still publishes, and an
    exception raised by ours could strike inside rclpy.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def run_node(
    create: Callable[[], Node],
    args: list[str] | None,
    release: Callable[[Any], None] | None = None,
) -> None:
    """Spin a node until SIGINT or SIGTERM, which launch sends, and end the process.

    Args:
        create: Makes the node.
        args: Command line, or None for the process's own.
        release: Called with the node before it is destroyed.
    """
    keep_message_memory()
    stop = stop_on_signals()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    node = None
    try:
        node = create()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        node.create_timer(_SIGNAL_S, lambda: None, clock=steady)
        executor.add_node(node)
        while not stop.is_set():
            executor.spin_once()
    except ExternalShutdownException:
        pass
    finally:
        if node is not None and release is not None:
            release(node)
        if node is None:
            rclpy.try_shutdown()
        else:
            leave_graph(node)
    end_process()
