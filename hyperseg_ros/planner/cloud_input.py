# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where points come from: a PointCloud2, or a depth image and its camera_info."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from hyperseg_core.errors import InputError
from hyperseg_ros.messages.point_cloud import Points
from hyperseg_ros.messages.point_cloud import read_xyz
from hyperseg_ros.node.camera_input import input_qos
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.loss_counter import LossCounter
from hyperseg_ros.planner.depth import DepthRays
from hyperseg_ros.planner.depth import read_depth
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.lens import LensError
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.planner.mask_input import MaskFrame
from hyperseg_ros.planner.mask_input import loss_events
from hyperseg_ros.planner.mask_input import numbers_of

_DEPTH = 2


@dataclass(frozen=True, slots=True)
class PointSet:
    """Points that were read from a message."""

    header: Header
    points: Points
    """(N, 3) [m] in the frame of the header."""
    lens: Lens | None
    """Of the depth camera, whose pixels the points are; None for clouds."""

    def is_aligned_with(self, frame: MaskFrame) -> bool:
        """Tell whether the points are those of a mask's pixels, one for each."""
        if self.lens is None or self.header.frame_id != frame.header.frame_id:
            return False
        own, other = self.lens, frame.lens
        is_same_size = (own.height, own.width) == (other.height, other.width)
        return is_same_size and bool(
            np.allclose(own.matrix, other.matrix, atol=0.5)
            and own.model == other.model
            and np.allclose(own.distortion, other.distortion, atol=1e-3)
        )


class CloudInput:
    """Subscribes to `cloud`, or to `depth` and `depth/camera_info`."""

    def __init__(
        self,
        node: LifecycleNode,
        health: StreamHealth,
        on_cloud: Callable[[Any], None],
        *,
        is_depth: bool,
    ) -> None:
        """Describe the input; nothing is subscribed to yet.

        Args:
            node: The node.
            health: Where clouds are counted.
            on_cloud: Called with each message.
            is_depth: Whether points come from depth images.
        """
        self._node, self._health, self._on_cloud = node, health, on_cloud
        self._is_depth = is_depth
        self._info: CameraInfo | None = None
        self._rays: tuple[Any, DepthRays | LensError] | None = None
        self._losses = LossCounter(health)
        self._subscriptions: list[Any] = []

    @property
    def topic(self) -> str:
        """The full name of the input."""
        return str(self._node.resolve_topic_name('depth' if self._is_depth else 'cloud'))

    @property
    def is_listening(self) -> bool:
        """Whether it is subscribed."""
        return bool(self._subscriptions)

    def subscribe(self) -> None:
        """Start to listen."""
        self._health.start_waiting()
        self._losses = LossCounter(self._health)
        kind, name = (Image, 'depth') if self._is_depth else (PointCloud2, 'cloud')
        listen = self._node.create_subscription
        self._subscriptions = [
            listen(
                kind, name, self._on_message, input_qos(_DEPTH),
                event_callbacks=loss_events(self._node, self._losses),
            )
        ]  # fmt: skip
        if self._is_depth:
            info = listen(CameraInfo, 'depth/camera_info', self._on_info, input_qos())
            self._subscriptions.append(info)

    def unsubscribe(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_message(self, message: Any, info: Any) -> None:
        self._losses.on_received(info)
        self._on_cloud(message)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def read(self, message: Any) -> PointSet:
        """Return the points of a message.

        Raises:
            InputError: If it cannot be read, or a depth image has no camera_info that fits.
        """
        if not self._is_depth:
            return PointSet(message.header, read_xyz(message), None)
        depth = read_depth(message)
        rays = self._rays_for(depth)
        return PointSet(message.header, rays.points(depth), rays.lens)

    def _rays_for(self, depth: NDArray[np.float32]) -> DepthRays:
        info = self._info
        if info is None:
            topic = self._node.resolve_topic_name('depth/camera_info')
            msg = f'no camera_info on {topic}, which the depth of {self.topic} needs'
            raise InputError(msg)
        key = (depth.shape, numbers_of(info))
        if self._rays is None or self._rays[0] != key:
            self._rays = (key, _rays_of(info, depth.shape))
        rays = self._rays[1]
        if isinstance(rays, LensError):
            raise rays
        return rays


def _rays_of(info: CameraInfo, shape: tuple[int, ...]) -> DepthRays | LensError:
    """Return the rays, or why there are none: to find that out again at each image takes long."""
    try:
        return DepthRays(lens_of(info, shape[0], shape[1]))
    except LensError as error:
        return error
