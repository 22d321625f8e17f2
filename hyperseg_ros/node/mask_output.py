# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's outputs: mask, confidence, PNG, overlay, camera_info and what the ids mean."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.preprocessing import resize_frame
from hyperseg_core.render import overlay
from hyperseg_ros.graph.events import no_publisher_events
from hyperseg_ros.messages.camera_info import scaled_camera_info
from hyperseg_ros.messages.encoding import MASK_FORMAT
from hyperseg_ros.messages.encoding import encode_png
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.messages.label_info import label_info
from hyperseg_ros.node.camera_input import CameraFrame
from hyperseg_ros.node.parameters import NodeParameters


class MaskOutput:
    """Publishes what was asked for and is listened to, each under the frame's own header."""

    def __init__(self, node: LifecycleNode, prefix: str, label_set: LabelSet) -> None:
        """Create the publishers.

        Args:
            node: The node.
            prefix: The camera's namespace below the node's name, `front/`, or ''.
            label_set: What the ids mean.
        """
        self._node, self._label_set = node, label_set
        out = f'~/{prefix}'
        self._mask = _publisher(node, Image, f'{out}mask')
        self._confidence = _publisher(node, Image, f'{out}confidence')
        self._png = _publisher(node, CompressedImage, f'{out}mask/compressed')
        self._overlay = _publisher(node, Image, f'{out}overlay')
        self._info = _publisher(node, CameraInfo, f'{out}camera_info')
        self._label_info = _label_info_publisher(node, f'{out}label_info')
        self._told: tuple[float, int] | None = None

    @property
    def publishers(self) -> list[Publisher]:
        """All publishers."""
        found = (
            self._mask, self._confidence, self._png, self._overlay, self._info, self._label_info,
        )  # fmt: skip
        return [publisher for publisher in found if publisher is not None]

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self.publishers:
            self._node.destroy_publisher(publisher)

    def publish(
        self,
        frame: CameraFrame,
        found: Segmentation,
        parameters: NodeParameters,
        camera_info: CameraInfo | None,
    ) -> None:
        """Publish a frame's masks; the mask itself goes first."""
        header = frame.header
        keep = keep_table(self._label_set, parameters.classes)
        ids = found.class_ids if keep is None else keep[found.class_ids]
        if parameters.publish_mask:
            self._mask.publish(fill_image(Image(header=header), ids, 'mono8'))
        if parameters.publish_confidence and self._confidence.get_subscription_count():
            message = fill_image(Image(header=header), found.confidence, 'mono8')
            self._confidence.publish(message)
        if parameters.publish_compressed and self._png.get_subscription_count():
            compressed = CompressedImage(header=header, format=MASK_FORMAT)
            compressed.data = encode_png(ids)
            self._png.publish(compressed)
        if parameters.publish_overlay and self._overlay.get_subscription_count():
            picture = self._overlay_of(frame, ids, parameters.overlay_alpha)
            self._overlay.publish(fill_image(Image(header=header), picture, 'rgb8'))
        if parameters.publish_camera_info and camera_info is not None:
            info = scaled_camera_info(camera_info, *ids.shape)
            info.header = header
            self._info.publish(info)

    def _overlay_of(
        self, frame: CameraFrame, ids: NDArray[np.uint8], alpha: float
    ) -> NDArray[np.uint8]:
        assert frame.pixels is not None
        image = resize_frame(frame.pixels, (ids.shape[0], ids.shape[1]))
        return overlay(np.ascontiguousarray(image), ids, self._label_set, alpha=alpha)

    def publish_label_info(self, threshold: float) -> None:
        """Publish what the ids mean, where that changed or somebody new listens.

        Nav2's segmentation layer builds its costs anew at each, so none is repeated for nothing;
        subscribers that came since, also those that do not ask for old messages, get one.
        """
        if self._label_info is None:
            return
        listeners = self._label_info.get_subscription_count()
        told, self._told = self._told, (threshold, listeners)
        if told is not None and told[0] == threshold and listeners <= told[1]:
            return
        from vision_msgs.msg import LabelInfo
        from vision_msgs.msg import VisionClass

        header = Header(stamp=self._node.get_clock().now().to_msg())
        message = label_info(
            LabelInfo, VisionClass, header=header, names=self._label_set.names,
            threshold=threshold,
        )  # fmt: skip
        self._label_info.publish(message)


def keep_table(label_set: LabelSet, classes: tuple[str, ...]) -> NDArray[np.uint8] | None:
    """Return the table that turns the ids of unwanted classes to 255; None where all stay."""
    if not classes:
        return None
    table = np.full(256, IGNORE_ID, np.uint8)
    kept = list(label_set.ids(classes))
    table[kept] = kept
    return table


def _label_info_publisher(node: LifecycleNode, topic: str) -> Any:
    """Create the LabelInfo publisher; None where vision_msgs is not installed."""
    try:
        from vision_msgs.msg import LabelInfo
    except ImportError:
        node.get_logger().warning(
            'vision_msgs is not installed, so label_info is not published: '
            'apt install ros-$ROS_DISTRO-vision-msgs.',
            once=True,
        )
        return None
    # vision_msgs/LabelInfo asks for transient local, so that late subscribers learn the classes.
    latched = QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    return _publisher(node, LabelInfo, topic, latched)


def _publisher(
    node: LifecycleNode, kind: Any, topic: str, qos: QoSProfile | None = None
) -> Publisher:
    """Create a publisher without events: diagnostics look for what they would say."""
    profile = qos or QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
    return node.create_publisher(kind, topic, profile, event_callbacks=no_publisher_events())
