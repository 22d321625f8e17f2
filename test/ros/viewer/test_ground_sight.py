# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import CameraInfo

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import matrix_of_pose
from hyperseg_ros.viewer import ground_sight
from hyperseg_ros.viewer.ground_sight import GroundSight
from hyperseg_ros.viewer.planners import Ground

GROUND = Ground('/ground', ('scan', 'grid'), '/s/mask', '/s/camera_info')
POSE = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
VALUES: dict[str, Any] = {
    'camera_pose': POSE, 'is_rectified': False, 'ground_plane': [0.0, 0.0, 1.0, 0.0],
}  # fmt: skip
MATRIX = np.array([[100.0, 0.0, 159.5], [0.0, 100.0, 119.5], [0.0, 0.0, 1.0]])


class Node:
    """Notes what is subscribed to."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.hear: Any = None

    def create_subscription(self, kind: Any, topic: str, hear: Any, qos: Any) -> str:
        self.topics.append(topic)
        self.hear = hear
        return topic

    def destroy_subscription(self, subscription: str) -> None:
        self.topics.remove(subscription)


class Transforms:
    """Tells one pose, and notes whether it is listened to."""

    num_open = 0

    def __init__(self, node: Any) -> None:
        Transforms.num_open += 1

    def close(self) -> None:
        Transforms.num_open -= 1

    def matrix(self, target: str, source: str, stamp_ns: int) -> Any:
        assert (target, source, stamp_ns) == ('base', 'camera', 5_000_000_006)
        return matrix_of_pose(POSE) @ BODY_FROM_OPTICAL


def info() -> CameraInfo:
    found = CameraInfo(**pinhole_fields(MATRIX, 240, 320))
    found.header.frame_id = 'camera'
    return found


@pytest.mark.parametrize('pose', [POSE, []])
def test_points_ahead_are_where_the_lens_has_them(
    pose: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground_sight, 'Transforms', Transforms)
    node: Any = Node()
    sight = GroundSight(node)
    sight.update(GROUND, VALUES | {'camera_pose': pose})
    assert node.topics == ['/s/camera_info']
    assert Transforms.num_open == (not pose)
    node.hear(info())
    found = sight.at((5, 6), 'base')
    # 2 m ahead, 0.5 m to the left, on the ground 1 m below: 25 px left, 50 px below the middle.
    points = found.on_ground(np.array([[2.0, 0.5], [-2.0, 0.0]]))
    places, is_seen = found.shares(points)
    assert is_seen.tolist() == [True, False]
    np.testing.assert_allclose(places[0], [(160 - 25) / 320, (120 + 50) / 240], atol=1e-6)
    sight.close()
    assert node.topics == []
    assert Transforms.num_open == 0


def test_what_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(node: Any) -> Any:
        msg = 'TF needs tf2_ros'
        raise ConfigError(msg)

    monkeypatch.setattr(ground_sight, 'Transforms', missing)
    node: Any = Node()
    sight = GroundSight(node)

    def told() -> str:
        with pytest.raises(InputError) as error:
            sight.at((5, 6), 'base')
        return str(error.value)

    assert 'not known which mask' in told()
    sight.update(Ground('/ground', ('scan', 'grid')), {})
    assert 'not known which mask' in told()
    sight.update(GROUND, {})
    assert '/ground does not tell its parameters camera_pose' in told()
    sight.update(GROUND, VALUES | {'camera_pose': []})
    assert 'nothing has come on /s/camera_info' in told()
    node.hear(info())
    assert 'TF needs tf2_ros' in told()
    node.hear(CameraInfo())
    sight.update(GROUND, VALUES)
    assert 'a camera without a size' in told()
