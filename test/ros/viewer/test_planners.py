# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip('rclpy')

from hyperseg_ros.viewer.planners import KINDS
from hyperseg_ros.viewer.planners import MAX_GROUNDS
from hyperseg_ros.viewer.planners import Ground
from hyperseg_ros.viewer.planners import ground_names
from hyperseg_ros.viewer.planners import ground_of

IMAGE, INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'


def published(name: str, *parts: str) -> list[tuple[str, list[str]]]:
    return [(f'{name}/{part}', [KINDS[part]]) for part in parts or KINDS]


def test_node_with_scan_and_grid_is_found_with_its_camera() -> None:
    topics = published('/a/ground')
    assert ground_names(topics) == ['/a/ground']
    subscribed = [('/s/mask', [IMAGE]), ('/s/confidence', [IMAGE]), ('/s/camera_info', [INFO])]
    found = ground_of('/a/ground', topics, subscribed)
    assert found == Ground('/a/ground', tuple(KINDS), '/s/mask', '/s/camera_info')
    assert ground_of('/a/ground', topics, []) == Ground('/a/ground', tuple(KINDS))
    several = [*subscribed, ('/t/mask', [IMAGE])]
    assert ground_of('/a/ground', topics, several) == Ground('/a/ground', tuple(KINDS))


def test_free_space_may_be_missing() -> None:
    topics = published('/ground', 'scan', 'grid')
    assert ground_of('/ground', topics, []) == Ground('/ground', ('scan', 'grid'))


@pytest.mark.parametrize(
    'topics',
    [
        [],
        published('/lidar', 'scan'),
        published('/map', 'grid'),
        published('', 'scan', 'grid'),
        [('/g/scan', [KINDS['scan']]), ('/g/grid', [IMAGE])],
        [('/g/scan', [KINDS['scan']]), ('/h/grid', [KINDS['grid']])],
    ],
)
def test_other_topics_are_no_ground(topics: list[tuple[str, list[str]]]) -> None:
    assert ground_names(topics) == []
    assert ground_of('/g', topics, []) is None


def test_pages_are_told_of_so_many_only() -> None:
    topics = [item for index in range(100) for item in published(f'/g{index}')]
    assert len(ground_names(topics)) == MAX_GROUNDS
