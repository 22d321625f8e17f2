# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera made of what OpenCV can open: a device, a video, or a folder of images."""

from collections.abc import Iterator
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import RgbImage
from hyperseg_core.frames.sources import open_frames
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.process.running import run_node


def frames_of(source: str) -> Iterator[RgbImage]:
    """Give the frames of a device (its index), a video file or a folder, for ever.

    Raises:
        InputError: If it cannot be opened or holds no image that can be read.
    """
    while True:
        is_empty = True
        for _, frame in open_frames(source):
            is_empty = False
            yield frame
        if is_empty:
            msg = f'Nothing can be read from {source!r}: no frame in it is whole.'
            raise InputError(msg)


class CaptureCamera(Node):
    """Publishes `image`."""

    def __init__(self, **options: Any) -> None:
        """Open the source, at once or not at all."""
        super().__init__('capture_camera', **options)
        source = self.declare_parameter('source', '0').value
        rate_hz = self.declare_parameter('rate', 30.0).value
        self._frames = frames_of(str(source))
        self._next = next(self._frames)
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self.create_timer(1.0 / rate_hz, self._publish)

    def _publish(self) -> None:
        message = fill_image(Image(), self._next, 'rgb8')
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = 'camera_optical_frame'
        self._images.publish(message)
        self._next = next(self._frames)


def main(args: list[str] | None = None) -> None:
    """Run the camera until it is interrupted."""
    run_node(CaptureCamera, args)


if __name__ == '__main__':
    main()
