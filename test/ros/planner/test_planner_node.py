# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from collections.abc import Iterator
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField

from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.planner.ground_node import GroundNode
from hyperseg_ros.planner.labelled_cloud_node import LabelledCloudNode


@pytest.fixture
def context() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=1 + os.getpid() % 100)
    yield context
    context.try_shutdown()


@pytest.fixture
def made(context: Any) -> Iterator[Callable[..., Any]]:
    nodes: list[Any] = []

    def make(kind: type[Any] = LabelledCloudNode, **parameters: Any) -> Any:
        given = {'label_set': 'camvid', 'camera_pose': [0.0] * 6} | parameters
        overrides = [
            Parameter(name, value=value) for name, value in given.items() if value is not None
        ]
        nodes.append(kind(context=context, parameter_overrides=overrides))
        return nodes[-1]

    yield make
    for node in nodes:
        node.release()
        node.destroy_node()


def mask(stamp_s: int, frame_id: str = 'camera') -> Image:
    message = fill_image(Image(), np.zeros((48, 64), np.uint8), 'mono8')
    message.header.stamp.sec, message.header.frame_id = stamp_s, frame_id
    return message


def info() -> CameraInfo:
    matrix = np.array(((50.0, 0, 31.5), (0, 50.0, 23.5), (0, 0, 1)))
    return CameraInfo(**pinhole_fields(matrix, 48, 64))


def cloud(stamp_s: int, **changes: Any) -> PointCloud2:
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate('xyz')]
    message = PointCloud2(
        height=1, width=1, point_step=12, row_step=12, data=bytes(12), fields=fields
    )
    message.header.stamp.sec, message.header.frame_id = stamp_s, 'lidar'
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def make_silent(health: Any) -> None:
    """Set the last output back."""
    health._last_output_s -= 10


def test_a_timer_that_always_raises_is_told_by_diagnostics(
    made: Any, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> None:
        msg = 'no topic is called so'
        raise ValueError(msg)

    broken.__name__ = '_listen_if_heard'
    monkeypatch.setattr(LabelledCloudNode, '_listen_if_heard', broken)
    node, told = made(), []
    node._diagnostics = SimpleNamespace(publish=told.append)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    end_s = time.monotonic() + 5
    while time.monotonic() < end_s and not told:
        executor.spin_once(timeout_sec=0.05)
    (status,) = told[-1].status
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == 'ValueError: no topic is called so'


def test_whatever_one_cloud_raises_the_others_are_worked_on(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = made(use_confidence=False, max_age_s=0.0)
    node.trigger_configure()
    read = node._cloud.read

    def strange(message: Any) -> Any:
        if message.header.stamp.sec == 1:
            msg = 'maximum supported dimension'
            raise ValueError(msg)
        return read(message)

    monkeypatch.setattr(node._cloud, 'read', strange)
    for stamp_s in (1, 2, 3):
        node._on_cloud(cloud(stamp_s, point_step=2**32 - 1) if stamp_s == 2 else cloud(stamp_s))
    node._masks[0]._on_info(info())
    for stamp_s in (1, 2, 3):
        node._masks[0]._on_mask(mask(stamp_s), {})
    snapshot = node.health.snapshot()
    assert snapshot.drops == {'bad cloud': 2}
    assert snapshot.published == 1


def test_whatever_one_mask_raises_is_counted(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    node = made(GroundNode)
    node.trigger_configure()
    node._source._on_info(info())
    monkeypatch.setattr(node, '_on_frame', None)
    monkeypatch.setattr(node._source, '_on_frame', lambda _: 1 // 0)
    node._source._on_mask(mask(1), {})
    snapshot = node.health.snapshot()
    assert snapshot.drops == {'bad mask': 1}
    assert 'ZeroDivisionError' in snapshot.problems['bad mask']


def test_masks_and_clouds_that_get_lost_are_told(made: Any) -> None:
    node = made(use_confidence=False)
    node.trigger_configure()
    node._masks[0]._on_mask(mask(1), {'publication_sequence_number': 1})
    node._masks[0]._on_mask(mask(2), {'publication_sequence_number': 7})
    node._masks[0]._losses.on_message_lost(SimpleNamespace(total_count_change=2))
    node._cloud._on_message(cloud(1), {'publication_sequence_number': 1})
    node._cloud._on_message(cloud(2), {'publication_sequence_number': 4})
    found = {item.key: item.value for item in node._status().values}
    assert (found['masks lost on the way'], found['masks replaced unread']) == ('2', '3')
    assert found['replaced unread'] == '2'


def test_lost_masks_come_with_advice_where_nothing_arrives(made: Any) -> None:
    node = made(GroundNode)
    node.trigger_configure()
    publisher = node.create_publisher(Image, 'mask', 1)
    node._source._losses.on_message_lost(SimpleNamespace(total_count_change=3))
    told = node.cause_of_silence(node.health.snapshot())
    assert '3 message(s) of /mask got lost in the last second' in told
    assert 'config/fastdds.xml' in told
    node.destroy_publisher(publisher)


def test_a_dead_camera_among_several_is_told(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = {'cameras': ['front', 'rear'], 'camera_pose': [0.0] * 12, 'use_confidence': False}
    node = made(**cameras)
    node.trigger_configure()
    monkeypatch.setattr(LabelledCloudNode, 'is_heard', True)
    for health in node._mask_healths:
        make_silent(health)
    node._masks[0]._on_info(info())
    node._masks[0]._on_mask(mask(1), {})
    status = node._status()
    assert status.level == DiagnosticStatus.WARN
    assert 'outputs/s; no mask from /rear/mask: nothing publishes on /rear/mask' in status.message
    assert status.hardware_id == '/cloud'


@pytest.mark.parametrize(
    ('kind', 'parameters', 'told'),
    [
        (GroundNode, {'min_confidence': 0.5}, 'set `min_confidence: 0.0`'),
        (LabelledCloudNode, {}, 'set `use_confidence: false`'),
    ],
)
def test_masks_wait_for_their_confidence_for_a_bounded_time(
    made: Any, monkeypatch: pytest.MonkeyPatch, kind: Any, parameters: dict[str, Any], told: str
) -> None:
    node = made(kind, **parameters)
    node.trigger_configure()
    (source,) = [item for item in node.inputs if hasattr(item, 'expire')]
    source._on_mask(mask(1), {})
    node.expire()
    assert not source._health.snapshot().drops
    now_s = time.monotonic()
    monkeypatch.setattr('time.monotonic', lambda: now_s + 1.5)
    node.expire()
    snapshot = source._health.snapshot()
    assert snapshot.drops == {'no confidence': 1}
    assert 'nothing publishes on /confidence' in snapshot.problems['no confidence']
    assert told in snapshot.problems['no confidence']
    source._on_mask(mask(2), {})
    source.unsubscribe()
    assert source._health.snapshot().drops == {'no confidence': 1, 'deactivated': 1}


def test_a_confidence_of_another_size_is_called_so(made: Any) -> None:
    node = made()
    node.trigger_configure()
    node._masks[0]._on_info(info())
    small = fill_image(Image(), np.zeros((4, 6), np.uint8), 'mono8')
    small.header = mask(1).header
    node._masks[0]._on_confidence(small)
    node._masks[0]._on_mask(mask(1), {})
    snapshot = node._mask_healths[0].snapshot()
    assert 'The confidence is of (4, 6) px' in snapshot.problems['bad confidence']


def test_a_mask_without_a_frame_is_told_as_that(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        'hyperseg_ros.planner.ground_node.Transforms',
        lambda *_: SimpleNamespace(close=lambda: None),
    )
    node = made(GroundNode, camera_pose=None)
    node.trigger_configure()
    node._source._on_info(info())
    node._source._on_mask(mask(1, frame_id=''), {})
    snapshot = node.health.snapshot()
    assert 'the mask has an empty frame_id' in snapshot.problems['no frame_id']
    assert node._status().hardware_id == '/mask'


def test_a_missing_message_package_is_told_with_what_installs_it(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, 'hyperseg_ros.planner.ground_messages', raising=False)
    monkeypatch.setitem(sys.modules, 'nav_msgs.msg', None)
    node = made(GroundNode)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert 'apt install ros-$ROS_DISTRO-nav-msgs' in node._failure


def test_a_cloud_in_the_masks_own_frame_and_of_its_stamp_needs_no_transform(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        'hyperseg_ros.planner.labelled_cloud_node.Transforms',
        lambda _: SimpleNamespace(close=lambda: None),
    )
    for pose in (None, [0.0, 0.0, 0.0, np.pi / 2, -np.pi / 2, 0.0]):  # the same by camera_pose
        node = made(use_confidence=False, max_age_s=0.0, camera_pose=pose)
        node.trigger_configure()
        message = cloud(1)
        message.header.frame_id = 'camera'
        node._masks[0]._on_info(info())
        node._on_cloud(message)
        seen: list[Any] = []
        monkeypatch.setattr(node, '_publish', lambda *given, seen=seen: seen.append(given[2]))
        node._masks[0]._on_mask(mask(1), {})
        np.testing.assert_allclose(seen[0][0].camera_from_points, np.eye(4), atol=1e-9)


def test_lists_are_emptied_while_the_node_is_not_configured(made: Any) -> None:
    node = made(autostart=False, remove=['road'], class_map=['road:1'])
    lists = {
        'camera_pose': Parameter.Type.DOUBLE_ARRAY, 'time_offset_s': Parameter.Type.DOUBLE_ARRAY,
        'remove': Parameter.Type.STRING_ARRAY, 'class_map': Parameter.Type.STRING_ARRAY,
        'cameras': Parameter.Type.STRING_ARRAY,
    }  # fmt: skip
    for name, kind in lists.items():
        (result,) = node.set_parameters([Parameter(name, kind, [])])
        assert result.successful, result.reason
        assert getattr(node.parameters.values, name) == ()
        # So `ros2 param set` writes [], which has no type of its own.
        (result,) = node.set_parameters([Parameter(name, Parameter.Type.BOOL_ARRAY, [])])
        assert result.successful, result.reason
        assert node.get_parameter(name).type_ == kind
    (result,) = node.set_parameters([Parameter('remove', Parameter.Type.BOOL_ARRAY, [True])])
    assert 'type' in result.reason
