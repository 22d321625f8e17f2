# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg doctor`: what is installed, what would be chosen, what is wrong with a topic."""

from hyperseg_core.commands.doctor import print_report
from hyperseg_ros.doctor.installed import ROS_NEEDS
from hyperseg_ros.doctor.installed import cv_bridge_row


def doctor_command(*, topic: str | None = None) -> int:
    """Print what is installed, what `auto` would choose, and why.

    Args:
        topic: A camera's topic to listen to for some seconds.
    """
    print_report(ROS_NEEDS, [cv_bridge_row()])
    if topic is None:
        return 0
    from hyperseg_ros.doctor.topic import examine_topic  # needs rclpy

    return 0 if examine_topic(topic) else 1
