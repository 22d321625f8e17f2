# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""rclpy in a thread of its own; the rest of the viewer asks it to do things."""

import asyncio
from collections.abc import Callable
import contextlib
import functools
import threading
import time
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hyperseg_core.process_memory import keep_message_memory
from hyperseg_ros.process.leaving import leave_graph

try:  # half the time per message, which is the robot's
    from rclpy.experimental import EventsExecutor as Executor
except ImportError:  # before Kilted
    from rclpy.executors import SingleThreadedExecutor as Executor

Result = TypeVar('Result')
_PAUSE_S = 0.005
"""After an error, so that one that comes again and again leaves the machine some time."""


class RosThread:
    """A node, and the thread that alone touches it."""

    def __init__(self, node_name: str) -> None:
        """Enter the graph."""
        keep_message_memory()
        if not rclpy.ok():
            rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.node: Node = rclpy.create_node(node_name, start_parameter_services=False)
        self._executor = Executor()
        self._executor.add_node(self.node)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._spin, name='ros', daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do something in the thread; returns what it returns, raises what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def do() -> None:
            try:
                result = work()
            except Exception as error:
                _tell(loop, future, functools.partial(future.set_exception, error))
            else:
                _tell(loop, future, functools.partial(future.set_result, result))

        self._executor.create_task(do)
        return await future

    def _spin(self) -> None:
        while not self._is_stopping:
            try:
                self._executor.spin_once(timeout_sec=0.5)
            except ExternalShutdownException:
                return
            except Exception as error:  # a message that rclpy cannot read
                self.node.get_logger().error(
                    f'A message or callback is left out: {type(error).__name__}: {error}',
                    throttle_duration_sec=5.0,
                )
                time.sleep(_PAUSE_S)

    def stop(self, status: int = 0) -> None:
        """Leave the graph; the last thing that the process does."""
        self._is_stopping = True
        self._executor.wake()
        self._thread.join(2.0)
        leave_graph(self.node, status=status)


def _tell(
    loop: asyncio.AbstractEventLoop, future: 'asyncio.Future[Result]', tell: Callable[[], None]
) -> None:
    def tell_if_wanted() -> None:
        if not future.done():
            tell()

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(tell_if_wanted)
