# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a planner's node in a process of its own, and feeds it a rendered street."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from node_client import Client
from node_client import process
import numpy as np
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image

from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.planner.accuracy import street_info
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.lens import lens_of

VIEW = street_view(3, 5.0)
"""A car ahead, kerbs aside."""
LENS = lens_of(street_info(VIEW.frame), 240, 320)
"""Of the masks that are published."""


@contextlib.contextmanager
def planner_process(
    module: str, log: Path, parameters: dict[str, Any], *arguments: str, path: str = ''
) -> Iterator['subprocess.Popen[bytes]']:
    """Run a module of `hyperseg_ros.planner`; it must end with status 0."""
    words = [part for name, value in parameters.items() for part in ('-p', f'{name}:={value}')]
    command = [
        sys.executable, '-m', f'hyperseg_ros.planner.{module}', '--ros-args', *words, *arguments,
    ]  # fmt: skip
    variables = {'PYTHONPATH': f'{path}:{os.environ.get("PYTHONPATH", "")}'} if path else {}
    with process(command, log, variables) as child:
        yield child
    text = log.read_text(errors='replace')
    assert 'Traceback' not in text, text


class Street:
    """A camera's masks, confidences and CameraInfo of one frame of a street."""

    def __init__(self, client: Client, prefix: str = '') -> None:
        self.client = client
        self.masks = client.publisher(f'/{prefix}mask', reliable=True)
        self.confidences = client.publisher(f'/{prefix}confidence', reliable=True)
        self.infos = client.publisher(f'/{prefix}camera_info', CameraInfo, reliable=True)
        # Of a quarter of the pixels: what fits Fast DDS's default shared memory is not lost.
        self.mask = np.ascontiguousarray(VIEW.frame.labels[::2, ::2])
        self.confidence = np.full(self.mask.shape, 200, np.uint8)
        self.info = CameraInfo(**pinhole_fields(VIEW.frame.camera_matrix, 480, 640))

    def image(self, pixels: np.ndarray, encoding: str = 'mono8', age_s: float = 0.0) -> Image:
        message = fill_image(Image(), pixels, encoding)
        now_ns = self.client.node.get_clock().now().nanoseconds - int(1e9 * age_s)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
        message.header.frame_id = 'camera'
        return message

    def publish(self, message: Image | None = None, *, confidence: bool = True) -> Image:
        sent = message or self.image(self.mask)
        self.infos.publish(self.info)
        if confidence:
            sure = fill_image(Image(header=sent.header), self.confidence, 'mono8')
            self.confidences.publish(sure)
        self.masks.publish(sent)
        return sent

    def publish_until(self, received: list[Any], seconds: float = 20.0) -> bool:
        return self.client.wait(
            lambda: bool(received or (self.publish() and (self.client.spin(0.2) or received))),
            seconds,
        )
