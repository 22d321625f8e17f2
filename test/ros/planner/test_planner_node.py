# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from hyperseg_ros.planner.labelled_cloud_node import LabelledCloudNode


@pytest.fixture
def context() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=1 + os.getpid() % 100)
    yield context
    context.try_shutdown()


def made(context: Any, **parameters: Any) -> LabelledCloudNode:
    given = {'label_set': 'camvid', 'camera_pose': [0.0] * 6} | parameters
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    return LabelledCloudNode(context=context, parameter_overrides=overrides)


def test_a_timer_that_always_raises_is_told_by_diagnostics(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> None:
        msg = 'no topic is called so'
        raise ValueError(msg)

    broken.__name__ = '_listen_if_heard'
    monkeypatch.setattr(LabelledCloudNode, '_listen_if_heard', broken)
    node, told = made(context), []
    node._diagnostics = SimpleNamespace(publish=told.append)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    end_s = time.monotonic() + 5
    while time.monotonic() < end_s and not told:
        executor.spin_once(timeout_sec=0.05)
    node.release()
    node.destroy_node()
    (status,) = told[-1].status
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == 'ValueError: no topic is called so'
