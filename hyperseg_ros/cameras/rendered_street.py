# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that drives along a rendered street: for demos, tests and benchmarks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hyperseg_core.drive.scene import DriveScene
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.process.running import run_node


def camera_info(matrix: NDArray[np.float64], height: int, width: int) -> CameraInfo:
    """Return the CameraInfo of an ideal pinhole camera."""
    return CameraInfo(**pinhole_fields(matrix, height, width))


class DriveCamera(Node):
    """Publishes `image`, `camera_info` and the true `labels`."""

    def __init__(self, **options: Any) -> None:
        """Render a loop of frames ahead, so that publishing costs no rendering."""
        super().__init__('drive_camera', **options)
        rate_hz = self.declare_parameter('rate', 30.0).value
        height = self.declare_parameter('height', 480).value
        width = self.declare_parameter('width', 640).value
        seed = self.declare_parameter('seed', 3_000_000).value
        count = self.declare_parameter('frames', 90).value
        scene = DriveScene(seed, height=height, width=width)
        self._frames = [scene.frame(index / rate_hz) for index in range(count)]
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._labels = self.create_publisher(Image, 'labels', qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
        self._index = 0
        self.create_timer(1.0 / rate_hz, self._publish)
        self.get_logger().info(f'Driving along street {seed}: {count} frames, then again.')

    def _publish(self) -> None:
        frame = self._frames[self._index % len(self._frames)]
        self._index += 1
        height, width = frame.labels.shape
        info = camera_info(frame.camera_matrix, height, width)
        info.header.stamp = self.get_clock().now().to_msg()
        info.header.frame_id = 'camera_optical_frame'
        self._images.publish(fill_image(Image(header=info.header), frame.image, 'rgb8'))
        self._infos.publish(info)
        if self._labels.get_subscription_count():
            self._labels.publish(fill_image(Image(header=info.header), frame.labels, 'mono8'))


def main(args: list[str] | None = None) -> None:
    """Run the camera until it is interrupted."""
    run_node(DriveCamera, args)


if __name__ == '__main__':
    main()
