# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's messages while somebody looks at it; everything here runs in the ROS thread.

Messages are taken as bytes, as they came: their stamp pairs them, and only those that are shown
are ever read.
"""

from collections.abc import Callable
import functools
import struct
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from hyperseg_core.errors import HyperSegError
from hyperseg_ros.graph.image_topics import TRANSPORTS
from hyperseg_ros.graph.image_topics import VIDEO_TRANSPORTS
from hyperseg_ros.graph.image_topics import message_class
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.viewer.frames import Moment
from hyperseg_ros.viewer.pairing import Pairing
from hyperseg_ros.viewer.pairing import Stamp
from hyperseg_ros.viewer.segmenters import Stream

_CONFIDENCE_S = 1.0
"""Without a confidence for so long, none is waited for."""
_VIDEO_DEPTH = 60
"""Packets that may wait: none of a video can be left out."""


def stamp_of(data: bytes) -> Stamp:
    """Return the stamp of a serialized message that begins with one, or with a header."""
    order = '<' if data[1] & 1 else '>'  # encapsulation of CDR
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
    return seconds, nanoseconds


class StreamFeed:
    """Subscribes to one camera's picture, mask and, when wanted, confidence."""

    def __init__(
        self,
        node: Node,
        stream: Stream,
        on_moment: Callable[[Moment], None],
        on_names: Callable[[str, list[tuple[int, str]]], None],
    ) -> None:
        """Subscribe to the mask and to what its ids mean.

        Args:
            node: Ours.
            stream: The camera.
            on_moment: Called with what belongs together.
            on_names: Called with the stream and the ids and names of its classes.
        """
        self._node, self._stream, self._on_moment = node, stream, on_moment
        self._pairing = Pairing(('picture', 'ids'))
        self._decoder = ImageDecoder()
        self._transport = ''
        self._confidence_s = 0.0
        self._subscriptions: dict[str, Any] = {}
        self._subscribe('ids', Image, stream.mask)
        self._subscribe_to_names(on_names)

    def update(self, picture_topic: str, *, has_confidence: bool) -> None:
        """Subscribe to what is wanted now.

        Args:
            picture_topic: Of the camera; '' where it is not known.
            has_confidence: Whether somebody asks for it: the node makes it only then.
        """
        self._update_picture(picture_topic)
        if has_confidence and 'confidence' not in self._subscriptions:
            self._subscribe('confidence', Image, self._stream.confidence)
        elif not has_confidence:
            self._unsubscribe('confidence')

    def _update_picture(self, topic: str) -> None:
        known = self._subscriptions.get('picture')
        transport = self._transport_on(topic) if topic else ''
        has_moved = known is not None and known.topic_name != topic
        if has_moved or (transport and transport != self._transport):
            self._unsubscribe('picture')
        if transport and 'picture' not in self._subscriptions:
            try:
                kind = message_class(transport)
            except HyperSegError as error:  # the package of the message is not installed
                self._node.get_logger().warning(str(error), once=True)
                return
            self._transport, self._decoder = transport, ImageDecoder()
            self._subscribe('picture', kind, topic)

    def _transport_on(self, topic: str) -> str:
        try:
            publishers = self._node.get_publishers_info_by_topic(topic)
            listeners = self._node.get_subscriptions_info_by_topic(topic)
        except ValueError:  # diagnostics named it, and no topic can be called so
            return ''
        types = [info.topic_type for info in (*publishers, *listeners)]
        return next((TRANSPORTS[name] for name in types if name in TRANSPORTS), '')

    def _subscribe(self, layer: str, kind: Any, topic: str) -> None:
        is_video = layer == 'picture' and self._transport in VIDEO_TRANSPORTS
        # Best effort takes from every publisher, and never makes one wait for us (REP 2003).
        qos = QoSProfile(
            depth=_VIDEO_DEPTH if is_video else 2, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        self._subscriptions[layer] = self._node.create_subscription(
            kind, topic, functools.partial(self._on_message, layer, kind), qos, raw=True
        )

    def _unsubscribe(self, layer: str) -> None:
        if layer in self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop(layer))
            if layer == 'picture':
                self._transport = ''

    def _on_message(self, layer: str, kind: Any, data: bytes) -> None:
        now_s = time.monotonic()
        if layer == 'confidence':
            self._confidence_s = now_s
        elif layer == 'ids':
            has_confidence = now_s - self._confidence_s < _CONFIDENCE_S
            more = ['confidence'] if has_confidence else []
            self._pairing.expect(['picture', 'ids', *more])
        if layer == 'picture' and self._transport in VIDEO_TRANSPORTS:
            try:
                pixels = self._decoder.to_rgb(deserialize_message(data, kind))
            except Exception:  # until the first key frame, and whatever a packet provokes
                return
            read: Callable[[], Any] = functools.partial(_same, pixels)
        else:
            read = functools.partial(deserialize_message, data, kind)
        found = self._pairing.add(layer, stamp_of(data), read, now_s)
        if found is not None:
            self._on_moment(Moment(self._stream.mask, *found))

    def _subscribe_to_names(self, on_names: Callable[[str, list[tuple[int, str]]], None]) -> None:
        try:
            from vision_msgs.msg import LabelInfo
        except ImportError:  # names are found elsewhere then
            return
        # As vision_msgs asks for it: late subscribers learn the classes.
        latched = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )

        def on_label_info(message: Any) -> None:
            names = [(item.class_id, item.class_name) for item in message.class_map]
            on_names(self._stream.mask, names)

        self._subscriptions['names'] = self._node.create_subscription(
            LabelInfo, self._stream.label_info, on_label_info, latched
        )

    def close(self) -> None:
        """Unsubscribe from everything."""
        for layer in list(self._subscriptions):
            self._unsubscribe(layer)


def _same(value: Any) -> Any:
    return value
