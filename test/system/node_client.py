# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A client of the node under test: its process, and a node of ours that talks to it."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from quick_engine import ENGINE
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image

# Above 101, a domain's ports lie among those that Linux hands out to anybody.
_domain = 1 + os.getpid() % 100


class Client:
    """A node with a context of its own, in the domain of the tests."""

    def __init__(self) -> None:
        self.context = Context()
        self.context.init(domain_id=_domain)
        self.node = rclpy.create_node('client', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = {}
        self._clients: dict[str, Any] = {}

    def listen(self, topic: str, kind: Any = Image) -> list[Any]:
        received: list[Any] = []
        self.received[topic] = received
        self.node.create_subscription(kind, topic, received.append, 50)
        return received

    def publisher(self, topic: str, kind: Any = Image, *, reliable: bool = False) -> Any:
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return self.node.create_publisher(
            kind, topic, QoSProfile(depth=5, reliability=reliability)
        )

    def spin(self, seconds: float) -> None:
        self.wait(lambda: False, seconds)

    def wait(self, condition: Callable[[], bool], seconds: float = 30.0) -> bool:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            if condition():
                return True
            self.executor.spin_once(timeout_sec=0.05)
        return condition()

    def call(self, kind: Any, name: str, request: Any, seconds: float = 10.0) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
            assert self.wait(self._clients[name].service_is_ready, seconds), name
            # The request's way is known before the answer's is: give discovery that moment.
            self.spin(0.5)
        future = self._clients[name].call_async(request)
        assert self.wait(future.done, seconds), name
        return future.result()

    def set_parameter(self, node: str, name: str, value: Any) -> Any:
        from rcl_interfaces.srv import SetParameters

        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        (result,) = self.call(SetParameters, f'{node}/set_parameters', request).results
        return result

    def diagnostics(self) -> list[Any]:
        return self.listen('/diagnostics', DiagnosticArray)

    def close(self) -> None:
        self.node.destroy_node()
        self.context.try_shutdown()


def environment() -> dict[str, str]:
    """Return the environment of processes that the tests talk to."""
    return {**os.environ, 'ROS_DOMAIN_ID': str(_domain), 'ROS_PYTHON_CHECK_FIELDS': '1'}


@contextlib.contextmanager
def node_process(
    checkpoint: Path,
    log: Path,
    *arguments: str,
    module: str = 'node.segmenter_node',
    variables: Mapping[str, str] | None = None,
    status: int = 0,
) -> Any:
    """Run the node, or a script, in a process of its own, on the quick engine."""
    role = ['-m', f'hyperseg_ros.{module}'] if '/' not in module else [module]
    command = [
        sys.executable, *role, '--ros-args', '-p',
        f'checkpoint:={checkpoint}', '-p', f'engine:={ENGINE}', '-p', 'max_age_s:=0.0', *arguments,
    ]  # fmt: skip
    with process(command, log, variables, status=status) as child:
        yield child


@contextlib.contextmanager
def process(
    command: Sequence[str], log: Path, variables: Mapping[str, str] | None, *, status: int = 0
) -> Iterator['subprocess.Popen[bytes]']:
    """Run a command in the tests' domain until the block ends; it must end with a status."""
    with log.open('wb') as file:
        child = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT,
            env={**environment(), **(variables or {}), 'ROS_DOMAIN_ID': str(_domain)},
        )  # fmt: skip
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        assert child.returncode == status, log.read_text(errors='replace')
