# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How our processes run a node: Python's own signal handlers, everything released, status 0."""

from collections.abc import Callable
import signal
import sys
import threading
import time
from typing import Any

import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hyperseg_core.process_end import end_process
from hyperseg_core.process_memory import keep_message_memory
from hyperseg_ros.process.core_log import log_to
from hyperseg_ros.process.leaving import leave_graph

_SIGNAL_S = 0.25
"""How often the executor looks up from its wait for messages, which signals do not end."""
_PAUSE_S = 0.005
"""After an error, so that one that comes again and again leaves the machine some time."""


class EndOfProcess(Exception):  # noqa: N818
    """Raised in a callback of a node to end its process, with everything released."""

    def __init__(self, status: int) -> None:
        """Take the exit status (`hyperseg_ros.process.status`)."""
        super().__init__(f'The process ends with status {status}.')
        self.status = status


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
    node = None
    status = 0
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = create()
        log_to(node.get_logger())
        _spin(node, stop)
    except ExternalShutdownException:
        pass
    except EndOfProcess as end:
        status = end.status
    except Exception as error:  # of arguments that ROS refuses: one line, not a traceback
        print(f'Cannot run: {" ".join(str(error).split())}', file=sys.stderr)  # noqa: T201
        rclpy.try_shutdown()
        end_process(1)
    if node is None:
        rclpy.try_shutdown()
    else:
        if release is not None:
            release(node)
        leave_graph(node, status=status)
    end_process(status)


def _spin(node: Node, stop: threading.Event) -> None:
    """Serve a node until `stop`; what a single message raises does not end it."""
    executor = SingleThreadedExecutor()
    steady = Clock(clock_type=ClockType.STEADY_TIME)
    node.create_timer(_SIGNAL_S, lambda: None, clock=steady)
    executor.add_node(node)
    while not stop.is_set():
        try:
            executor.spin_once()
        except (ExternalShutdownException, EndOfProcess):
            raise
        except Exception as error:  # e.g. a frame_id that is no UTF-8, which rclpy cannot read
            if not rclpy.ok():
                raise
            node.get_logger().error(
                f'A message or callback is left out: {type(error).__name__}: {error}',
                throttle_duration_sec=5.0,
            )
            time.sleep(_PAUSE_S)
