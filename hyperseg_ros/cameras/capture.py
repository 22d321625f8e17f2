# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera made of what OpenCV can open: a device, a video, or a folder of images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from hyperseg_core.errors import InputError
from hyperseg_core.frames.images import read_rgb
from hyperseg_ros.conversions import fill_image
from hyperseg_ros.process.running import run_node

_ENDINGS = {'.png', '.jpg', '.jpeg', '.bmp', '.webp'}


def frames_of(source: str) -> Iterator[NDArray[np.uint8]]:
    """Give the frames of a device (its index), a video file or a folder, for ever.

    Raises:
        InputError: If it cannot be opened or holds no image.
    """
    folder = Path(source)
    if folder.is_dir():
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _ENDINGS)
        if not paths:
            msg = f'No image in {folder}.'
            raise InputError(msg)
        while True:
            for path in paths:
                yield read_rgb(path)
    while True:
        capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
        is_read, frame = capture.read()
        if not is_read:
            msg = f'Cannot read {source!r}: no such camera or video.'
            raise InputError(msg)
        while is_read:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
            is_read, frame = capture.read()
        capture.release()


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
