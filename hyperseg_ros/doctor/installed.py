# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of ROS is installed and for what, and whether NumPy broke cv_bridge."""

import importlib.util

import numpy as np

from hyperseg_core.commands.doctor import Need


def _apt(name: str) -> str:
    return f'apt install ros-$ROS_DISTRO-{name}'


ROS_NEEDS = (
    Need('rclpy', 'node, bag play, demo', "apt, or pip install 'hyperseg_ros[ros]'"),
    Need('launch_ros', 'launch files', _apt('launch-ros')),
    Need('aiohttp', '`hyperseg view`', "pip install 'hyperseg_ros[view]'"),
    Need('nav_msgs', '`ground`: scan, grid, free space', _apt('nav-msgs')),
    Need('tf2_ros', 'planners without `camera_pose`', _apt('tf2-ros-py')),
    Need('vision_msgs', '~/label_info', _apt('vision-msgs')),
    Need('cv_bridge', 'encodings that are not our own', _apt('cv-bridge')),
)


def cv_bridge_row() -> tuple[str, str, str]:
    """Return the doctor's row on cv_bridge and this NumPy; it is imported for that."""
    return 'cv_bridge with this NumPy', _cv_bridge_state(), 'the same'


def _cv_bridge_state() -> str:
    if importlib.util.find_spec('cv_bridge') is None:
        return 'not installed'
    try:
        import cv_bridge

        cv_bridge.CvBridge().cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), 'rgb8')
    except Exception as error:  # a broken binary raises what it likes
        return f'unusable: {error}'
    return 'usable'
