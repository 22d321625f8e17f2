# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered streets that move by a planner's commands: for the tutorial and its test.

Each frame waits for the command that carries its stamp, so that a slow machine drives no worse;
where none comes for a second, the vehicle stands and the frame is sent again.
"""

import time
from typing import Any

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Float32MultiArray
from std_msgs.msg import Header
from std_msgs.msg import MultiArrayDimension

from hyperseg_core.drive.driven import DrivenStreet
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.process.running import run_node

_PATIENCE_S = 1.0
PROGRESS = 'seed, step, distance [m], least clearance so far [m]'


class DrivenStreetNode(Node):
    """Publishes `image`, the true `labels`, `camera_info` and `progress`; listens to `cmd_vel`."""

    def __init__(self, **options: Any) -> None:
        """Begin with the first street."""
        super().__init__('driven_street', **options)
        self._seed = self.declare_parameter('seed', 0).value
        self._num_left = self.declare_parameter('num_streets', 1).value
        self._num_steps = self.declare_parameter('steps', 100).value
        self._step_s = self.declare_parameter('step_s', 0.2).value
        self._pause_s = 1.0 / self.declare_parameter('max_rate', 5.0).value
        reliable = QoSProfile(depth=2)
        self._images = self.create_publisher(Image, 'image', reliable)
        self._labels = self.create_publisher(Image, 'labels', reliable)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', reliable)
        self._progress = self.create_publisher(Float32MultiArray, 'progress', 10)
        self.create_subscription(TwistStamped, 'cmd_vel', self._on_command, reliable)
        self._command: TwistStamped | None = None
        self._header = Header(frame_id='camera_optical_frame')
        self._begin()
        self.create_timer(0.005, self._step)

    def _begin(self) -> None:
        self._street, self._index = DrivenStreet(self._seed), 0
        self._start_m = float(self._street.pose.z_m)
        self._least_m = float(self._street.clearance_m())
        self._publish()

    def _publish(self) -> None:
        frame = self._street.frame()
        self._sent_s = time.monotonic()
        self._header.stamp = self.get_clock().now().to_msg()
        info = pinhole_fields(frame.camera_matrix, *frame.labels.shape)
        self._infos.publish(CameraInfo(header=self._header, **info))
        self._labels.publish(fill_image(Image(header=self._header), frame.labels, 'mono8'))
        if self._images.get_subscription_count():
            self._images.publish(fill_image(Image(header=self._header), frame.image, 'rgb8'))

    def _on_command(self, message: TwistStamped) -> None:
        if message.header.stamp == self._header.stamp:
            self._command = message

    def _step(self) -> None:
        """Move by the command of the last frame, once it is there."""
        waited_s = time.monotonic() - self._sent_s
        command = self._command
        if command is None:
            if waited_s > _PATIENCE_S and self._num_left > 0:
                self._publish()
            return
        if waited_s < self._pause_s or self._num_left <= 0:
            return
        self._command = None
        twist = command.twist
        self._street.move(twist.linear.x, twist.angular.z, self._step_s)
        self._index += 1
        self._tell()
        if self._index < self._num_steps:
            self._publish()
            return
        self._num_left -= 1
        self._seed += 1
        if self._num_left > 0:
            self._begin()

    def _tell(self) -> None:
        distance_m = float(self._street.pose.z_m) - self._start_m
        self._least_m = min(self._least_m, float(self._street.clearance_m()))
        values = [self._seed, self._index, distance_m, self._least_m]
        message = Float32MultiArray(data=[float(value) for value in values])
        message.layout.dim = [MultiArrayDimension(label=PROGRESS, size=len(values), stride=1)]
        self._progress.publish(message)
        if self._index % 25 == 0:
            self.get_logger().info(
                f'Street {self._seed}, step {self._index}: {distance_m:.1f} m driven, '
                f'never nearer than {self._least_m:.2f} m to kerb or thing.'
            )


def main(args: list[str] | None = None) -> None:
    """Run the street until it is interrupted."""
    run_node(DrivenStreetNode, args)


if __name__ == '__main__':
    main()
