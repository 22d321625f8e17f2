# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera that drives along a rendered street: for demos, tests and benchmarks."""

from typing import Any

from geometry_msgs.msg import PointStamped
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

SEED = 3_000_000
"""The street that is driven along unless another is asked for."""


def camera_info(matrix: NDArray[np.float64], height: int, width: int) -> CameraInfo:
    """Return the CameraInfo of an ideal pinhole camera."""
    return CameraInfo(**pinhole_fields(matrix, height, width))


class DriveCamera(Node):
    """Publishes `image`, `camera_info`, the true `labels`, and when in the street that is."""

    def __init__(self, **options: Any) -> None:
        """Render a loop of frames ahead, so that publishing costs no rendering."""
        super().__init__('drive_camera', **options)
        rate_hz = self.declare_parameter('rate', 30.0).value
        height = self.declare_parameter('height', 480).value
        width = self.declare_parameter('width', 640).value
        seed = self.declare_parameter('seed', SEED).value
        count = self.declare_parameter('frames', 90).value
        scene = DriveScene(seed, height=height, width=width)
        self._times_s = [index / rate_hz for index in range(count)]
        self._frames = [scene.frame(time_s) for time_s in self._times_s]
        self._moments = self.create_publisher(PointStamped, 'moment', qos_profile_sensor_data)
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._labels = self.create_publisher(Image, 'labels', qos_profile_sensor_data)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', qos_profile_sensor_data)
        self._index = 0
        self.create_timer(1.0 / rate_hz, self._publish)
        self.get_logger().info(f'Driving along street {seed}: {count} frames, then again.')

    def _publish(self) -> None:
        frame = self._frames[self._index % len(self._frames)]
        moment = PointStamped()
        moment.point.x = self._times_s[self._index % len(self._frames)]
        self._index += 1
        height, width = frame.labels.shape
        info = camera_info(frame.camera_matrix, height, width)
        info.header.stamp = self.get_clock().now().to_msg()
        info.header.frame_id = 'camera_optical_frame'
        self._images.publish(fill_image(Image(header=info.header), frame.image, 'rgb8'))
        self._infos.publish(info)
        moment.header = info.header
        self._moments.publish(moment)
        if self._labels.get_subscription_count():
            self._labels.publish(fill_image(Image(header=info.header), frame.labels, 'mono8'))


def main(args: list[str] | None = None) -> None:
    """Run the camera until it is interrupted."""
    run_node(DriveCamera, args)


if __name__ == '__main__':
    main()
