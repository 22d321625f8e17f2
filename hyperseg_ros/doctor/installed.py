# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What of ROS is installed, and whether NumPy broke cv_bridge; imports none of it at the top."""

import importlib.util

import numpy as np

_PACKAGES = ('rclpy', 'launch_ros', 'vision_msgs', 'cv_bridge', 'rosbags')


def ros_packages() -> list[tuple[str, str]]:
    """List packages and whether they are there."""
    rows = [(name, 'yes' if importlib.util.find_spec(name) else 'no') for name in _PACKAGES]
    return [*rows, ('cv_bridge with this NumPy', _cv_bridge_state())]


def _cv_bridge_state() -> str:
    if importlib.util.find_spec('cv_bridge') is None:
        return 'not installed'
    try:
        import cv_bridge

        cv_bridge.CvBridge().cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), 'rgb8')
    except Exception as error:  # a broken binary raises what it likes
        return f'unusable: {error}'
    return 'usable'
