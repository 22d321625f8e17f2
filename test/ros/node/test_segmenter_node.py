# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
import os
import time
from typing import Any

import pytest

pytest.importorskip('rclpy')

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from hyperseg_core.errors import EngineError
from hyperseg_ros.node import segmenter_node
from hyperseg_ros.node.camera_input import CameraInput
from hyperseg_ros.node.segmenter_node import SegmenterNode

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class NoSegmenter:
    """Stands for an engine that is never asked."""

    spec = 'none'
    loss = ''

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _no_topic_of_b(source: CameraInput) -> str:
    return 'not a topic' if source.topic.endswith('/b/image') else '/camera_info'


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[SegmenterNode]:
    monkeypatch.setattr(segmenter_node, 'Segmenter', NoSegmenter)
    context = Context()
    context.init(domain_id=1 + os.getpid() % 100)
    overrides = [Parameter('autostart', value=False), Parameter('cameras', value=['a', 'b'])]
    node = SegmenterNode(context=context, parameter_overrides=overrides)
    yield node
    node.release()
    node.destroy_node()
    context.try_shutdown()


def test_an_activation_that_fails_leaves_no_subscription(
    node: SegmenterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(list(node.subscriptions))
    assert node.trigger_configure() == SUCCESS
    with monkeypatch.context() as patch:
        patch.setattr(CameraInput, 'info_topic', property(_no_topic_of_b))
        assert node.trigger_activate() == FAILURE
    assert len(list(node.subscriptions)) == before
    assert node.trigger_activate() == SUCCESS
    assert len(list(node.subscriptions)) == before + 4


def test_an_engine_that_fails_while_inactive_cleans_the_node_up(
    node: SegmenterNode, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: Any, **options: Any) -> NoSegmenter:
        raise EngineError('no engine today')

    monkeypatch.setattr(segmenter_node, 'Segmenter', fail)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    assert node.trigger_configure() == SUCCESS
    end_s = time.monotonic() + 10.0
    while any(out.topic_name.endswith('/mask') for out in node.publishers):
        assert time.monotonic() < end_s
        executor.spin_once(timeout_sec=0.1)
    told = capfd.readouterr().err
    assert 'no engine today' in told
    assert 'No transition matching' not in told
