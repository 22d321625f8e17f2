# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from std_msgs.msg import Header

from hyperseg_ros.graph.image_topics import camera_info_topic
from hyperseg_ros.node.camera_input import CameraFrame
from hyperseg_ros.node.camera_input import input_qos


def _frame(sec: int, nanosec: int) -> CameraFrame:
    header = Header()
    header.stamp.sec, header.stamp.nanosec = sec, nanosec
    return CameraFrame(SimpleNamespace(header=header), 0.0)


@pytest.mark.parametrize(
    ('sec', 'nanosec', 'age_s'),
    [(9, 500_000_000, 0.5), (-1_080_631_866, 121_030_844, 1_080_631_875.878_969_156), (10, 0, 0)],
)
def test_ages_are_right_whatever_the_sign_of_the_stamp(
    sec: int, nanosec: int, age_s: float
) -> None:
    assert _frame(sec, nanosec).age_s(10 * 10**9) == pytest.approx(age_s)
    assert _frame(sec, nanosec).age_s(None) is None


def test_each_subscription_has_a_profile_of_its_own() -> None:
    """An override changes a profile in place; it must stay with its topic."""
    assert input_qos() is not input_qos()


@pytest.mark.parametrize(
    ('image', 'info'),
    [
        ('/camera/image_raw', '/camera/camera_info'),
        ('/camera/image_raw/compressed', '/camera/camera_info'),
        ('/image', '/camera_info'),
        ('/a/b/image', '/a/b/camera_info'),
    ],
)
def test_camera_info_lies_beside_the_image(image: str, info: str) -> None:
    assert camera_info_topic(image) == info
