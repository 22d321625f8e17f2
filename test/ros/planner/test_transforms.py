# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from tf_messages import transform_message

from hyperseg_core.errors import ConfigError
from hyperseg_ros.planner.pose import matrix_of_pose
from hyperseg_ros.planner.transforms import NoTransformError
from hyperseg_ros.planner.transforms import Transforms

STAND_IN = Path(__file__).parents[2] / 'system' / 'tf_stand_in'
S = 10**9


class Listener:
    """A node as far as TF needs one."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def create_subscription(self, kind: Any, topic: str, callback: Any, qos: int) -> object:
        self.send: Callable[[Any], None] = callback
        return object()

    def get_clock(self) -> Any:
        return SimpleNamespace(create_jump_callback=self._on_jumps)

    def _on_jumps(self, threshold: Any, post_callback: Callable[[Any], None]) -> Any:
        assert threshold.min_backward.nanoseconds < 0
        self.jump = post_callback
        return SimpleNamespace(unregister=lambda: None)

    def get_logger(self) -> Any:
        return SimpleNamespace(warning=lambda text, **_: self.told.append(text))

    def destroy_subscription(self, subscription: object) -> None:
        self.send = None  # type: ignore[assignment]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Listener:
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.delitem(sys.modules, 'tf2_ros', raising=False)
    return Listener()


def pose(x: float) -> np.ndarray:
    return matrix_of_pose((x, 0, 0, 0, 0, 0))


def test_without_tf2_ros_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'tf2_ros', None)
    with pytest.raises(ConfigError, match=r'apt install ros-\$ROS_DISTRO-tf2-ros-py.*camera_pose'):
        Transforms(Listener())  # type: ignore[arg-type]


def test_transforms_are_those_of_the_stamp(node: Listener) -> None:
    transforms = Transforms(node)  # type: ignore[arg-type]
    for second in (10, 11):
        node.send(transform_message('odom', 'base', pose(second), second * S))
    node.send(transform_message('base', 'camera', matrix_of_pose((0, 0, 1, 0, 0.1, 0)), 0))
    found = transforms.matrix('odom', 'camera', 10_500_000_000)
    np.testing.assert_allclose(found[:3, 3], (10.5, 0, 1), atol=1e-9)
    between = transforms.matrix_between('camera', 11 * S, 'base', 10 * S, 'odom')
    back = np.linalg.inv(matrix_of_pose((0, 0, 1, 0, 0.1, 0))) @ pose(-1)
    np.testing.assert_allclose(between, back, atol=1e-9)
    fixed = transforms.matrix_between('camera', 11 * S, 'base', 10 * S, '')
    np.testing.assert_allclose(fixed, back @ pose(1), atol=1e-9)
    transforms.close()
    assert node.send is None


@pytest.mark.parametrize(
    ('stamp_ns', 'told'),
    [
        (12 * S, r"no TF from 'base' to 'odom' at 12.000 s: .*; the newest known is 1.00 s older"),
        (9 * S, r'at 9.000 s: .*; the newest known is 2.00 s newer'),  # time has gone back
        (-5 * S, r'at -5.000 s'),
        (2**70, r'no TF'),
    ],
)
def test_what_is_missing_is_told_with_its_age(node: Listener, stamp_ns: int, told: str) -> None:
    transforms = Transforms(node)  # type: ignore[arg-type]
    for second in (10, 11):
        node.send(transform_message('odom', 'base', pose(second), second * S))
    with pytest.raises(NoTransformError, match=told):
        transforms.matrix('odom', 'base', stamp_ns)


def test_a_frame_that_nobody_knows_is_named(node: Listener) -> None:
    transforms = Transforms(node, 'set `base_frame`')  # type: ignore[arg-type]
    told = "no TF from 'camera' to 'base_footprint'.*; set `base_frame`$"
    with pytest.raises(NoTransformError, match=told):
        transforms.matrix('base_footprint', 'camera', S)


def test_without_the_fixed_frame_motion_is_left_out_and_told(node: Listener) -> None:
    transforms = Transforms(node)  # type: ignore[arg-type]
    node.send(transform_message('base', 'camera', pose(0.5), 0))
    found = transforms.matrix_between('base', 11 * S, 'camera', 10 * S, 'odom')
    np.testing.assert_allclose(found, pose(0.5), atol=1e-12)
    assert "TF knows no 'odom'" in node.told[0]
    node.send(transform_message('odom', 'base', pose(1.0), 10 * S))
    with pytest.raises(NoTransformError, match=r'at 10\.000 s'):  # known, but not yet at 11 s
        transforms.matrix_between('base', 11 * S, 'camera', 10 * S, 'odom')


def test_time_that_jumps_back_forgets_what_was_known(node: Listener) -> None:
    transforms = Transforms(node)  # type: ignore[arg-type]
    node.send(transform_message('odom', 'base', pose(1.0), 10 * S))
    assert transforms.matrix('odom', 'base', 10 * S)[0, 3] == 1.0
    node.jump(None)
    with pytest.raises(NoTransformError):
        transforms.matrix('odom', 'base', 10 * S)
    node.send(transform_message('odom', 'base', pose(2.0), 5 * S))
    assert transforms.matrix('odom', 'base', 5 * S)[0, 3] == 2.0
