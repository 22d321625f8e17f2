# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera in a process of its own that sends a frame for every line it reads."""

import sys

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from hyperseg_core.drive import DriveScene
from hyperseg_ros.messages.encoding import fill_image

rclpy.init()
node = rclpy.create_node('camera_on_demand')
publisher = node.create_publisher(Image, '/image', qos_profile_sensor_data)
message = fill_image(Image(), DriveScene(1, height=360, width=480).frame(2.0).image, 'rgb8')
print('there', flush=True)
for line in sys.stdin:
    message.header.frame_id = line.strip()
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
node.destroy_node()
rclpy.shutdown()
