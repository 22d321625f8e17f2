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
from hyperseg_core.preprocessing import Size
from hyperseg_ros.node import segmenter_node
from hyperseg_ros.node.camera_input import CameraInput
from hyperseg_ros.node.engine_builder import EngineBuilder
from hyperseg_ros.node.segmenter_node import SegmenterNode
from hyperseg_ros.process.running import EndOfProcess
from hyperseg_ros.process.status import ENGINE_LOST

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


def spin_until_it_ends(node: SegmenterNode) -> int:
    """Serve a node until it ends its process; return the status."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    end_s = time.monotonic() + 10.0
    while time.monotonic() < end_s:
        try:
            executor.spin_once(timeout_sec=0.1)
        except EndOfProcess as end:
            return end.status
    pytest.fail('the node goes on')


def test_device_that_is_lost_at_the_start_ends_the_process_where_that_is_asked_for(
    node: SegmenterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> NoSegmenter:
        raise EngineError('the GPU fell off the bus', lost=True)

    monkeypatch.setattr(segmenter_node, 'Segmenter', fail)
    node.set_parameters([Parameter('on_engine_loss', value='exit')])
    assert node.trigger_configure() == SUCCESS
    assert spin_until_it_ends(node) == ENGINE_LOST


def test_loss_while_another_size_is_built_ends_the_process(
    node: SegmenterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(segmenter: NoSegmenter, size: Size) -> None:
        raise EngineError('the GPU fell off the bus', lost=True)

    monkeypatch.setattr(NoSegmenter, 'prepare', fail, raising=False)
    assert node.trigger_configure() == SUCCESS
    worker = node._worker
    assert worker is not None
    end_s = time.monotonic() + 10.0
    while worker._builder is None:
        assert time.monotonic() < end_s
        time.sleep(0.01)
    builder: EngineBuilder = worker._builder
    assert builder.ask_for((200, 300))
    assert spin_until_it_ends(node) == ENGINE_LOST
    assert builder.reason_against((200, 300)) == ''
