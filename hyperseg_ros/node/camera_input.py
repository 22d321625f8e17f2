# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's input: its subscriptions, a mailbox of one frame, and what is read from it."""

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSPolicyKind
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from hyperseg_core.errors import InputError
from hyperseg_ros.graph.events import subscription_events
from hyperseg_ros.graph.image_topics import VIDEO_TRANSPORTS
from hyperseg_ros.graph.image_topics import camera_info_topic
from hyperseg_ros.graph.image_topics import message_class
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.decoding import codec_of
from hyperseg_ros.messages.decoding import described_kind
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.loss_counter import LossCounter
from hyperseg_ros.node.parameters import NodeParameters
from hyperseg_ros.node.rate_limit import RateLimit

_VIDEO_DEPTH = 60
"""Packets of a video that may wait: none may be left out."""


def input_qos(depth: int = 1) -> QoSProfile:
    """Return the profile of inputs, a new one each time: an override changes it in place.

    REP 2003: a subscription that takes best effort matches reliable publishers too; depth 1,
    because the newest frame wins.
    """
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass(slots=True)
class CameraFrame:
    """A message on its way."""

    message: Any
    arrived_s: float
    """Monotonic time of its arrival [s]."""
    pixels: NDArray[np.uint8] | None = None
    """(H, W, 3) RGB, once it is decoded."""

    @property
    def header(self) -> Header:
        """The header that its masks carry, untouched; of foxglove's videos, their two fields."""
        if hasattr(self.message, 'header'):
            return self.message.header
        return Header(stamp=self.message.timestamp, frame_id=self.message.frame_id)

    @property
    def stamp_ns(self) -> int:
        """Its stamp; drivers send negative seconds, too."""
        stamp = self.header.stamp
        return int(stamp.sec) * 10**9 + int(stamp.nanosec)

    def age_s(self, now_ns: int | None) -> float | None:
        """Return its age at a time of the node's clock; None under simulated time."""
        return None if now_ns is None else (now_ns - self.stamp_ns) / 1e9


class CameraInput:
    """The executor fills the mailbox, the worker empties it."""

    def __init__(
        self,
        node: LifecycleNode,
        prefix: str,
        health: StreamHealth,
        wake_worker: Callable[[], None],
    ) -> None:
        """Describe the input; nothing is subscribed to yet.

        Args:
            node: The node.
            prefix: The camera's namespace below the node's, `front/`, or ''.
            health: Where frames and drops are counted.
            wake_worker: Called when the mailbox has a new frame.
        """
        self._node, self._prefix, self._health, self._wake = node, prefix, health, wake_worker
        self._subscriptions: list[Any] = []
        self._mailbox: CameraFrame | None = None
        self._lock = threading.Lock()
        self._rate_limit = RateLimit()
        self._last_stamp_ns: int | None = None
        self.camera_info: CameraInfo | None = None
        """The last one that arrived."""
        self._decoder = ImageDecoder()
        self._losses = LossCounter(health)
        self.transport = 'raw'
        self.qos_problem = ''
        """What of a publisher's QoS does not match, since the last frame."""

    @property
    def topic(self) -> str:
        """The fully qualified topic of the camera."""
        return str(self._node.resolve_topic_name(f'{self._prefix}image'))

    @property
    def info_topic(self) -> str:
        """The fully qualified topic of its CameraInfo: beside the image, unless remapped."""
        given = f'{self._prefix}camera_info'
        resolved = str(self._node.resolve_topic_name(given))
        namespace = self._node.get_namespace().rstrip('/')
        is_remapped = resolved != f'{namespace}/{given}'
        return resolved if is_remapped else camera_info_topic(self.topic)

    @property
    def is_listening(self) -> bool:
        """Whether the camera is subscribed to; a deactivated node publishes nothing."""
        return bool(self._subscriptions)

    @property
    def is_waiting(self) -> bool:
        """Whether the mailbox has a frame."""
        return self._mailbox is not None

    def subscribe(self, transport: str) -> None:
        """Start to listen."""
        self.transport = transport
        self._decoder, self._losses = ImageDecoder(), LossCounter(self._health)
        self._health.start_waiting()
        is_video = transport in VIDEO_TRANSPORTS
        image = self._node.create_subscription(
            message_class(transport), f'{self._prefix}image',
            self._on_packet if is_video else self._on_image,
            input_qos(depth=1 if transport == 'raw' else _VIDEO_DEPTH),
            event_callbacks=subscription_events(
                self._on_incompatible_qos, self._losses.on_message_lost
            ),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )  # fmt: skip
        self._subscriptions.append(image)
        info = self._node.create_subscription(
            CameraInfo, self.info_topic, self._on_camera_info, input_qos()
        )
        self._subscriptions.append(info)

    def unsubscribe(self) -> None:
        """Stop listening and empty the mailbox."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self.take() is not None:
            self._health.frame_dropped('deactivated')

    def _on_image(self, message: Any, info: Any) -> None:
        if self._carries_video(message):
            self._on_packet(message, info)
            return
        self._losses.on_received(info)
        self._put(CameraFrame(message, time.monotonic()))

    def _carries_video(self, message: Any) -> bool:
        """Tell whether a CompressedImage is a packet of a video; an unknown codec fails later."""
        try:
            return self.transport == 'compressed' and bool(codec_of(message))
        except InputError:
            return False

    def _on_packet(self, message: Any, info: Any) -> None:
        """Decode each packet of a video as it comes: those after it need it."""
        self._losses.on_received(info)
        frame = CameraFrame(message, time.monotonic())
        frame.pixels = self._decode(frame)
        if frame.pixels is not None:
            self._put(frame)

    def _put(self, frame: CameraFrame) -> None:
        self.qos_problem = ''
        with self._lock:
            replaced, self._mailbox = self._mailbox, frame
        if replaced is not None:
            self._health.frame_dropped('superseded')
        self._wake()

    def _on_camera_info(self, message: CameraInfo) -> None:
        self.camera_info = message

    def _on_incompatible_qos(self, event: Any) -> None:
        policy = QoSPolicyKind(event.last_policy_kind).name.lower()
        self.qos_problem = f'incompatible {policy}'
        self._node.get_logger().warning(
            f'{self.topic}: the QoS of a publisher does not match, {policy} is incompatible; set '
            f'qos_overrides.{self.topic}.subscription.{policy} to what it offers.',
            throttle_duration_sec=5.0,
        )

    def take(self) -> CameraFrame | None:
        """Empty the mailbox."""
        with self._lock:
            frame, self._mailbox = self._mailbox, None
        return frame

    def take_due(self, parameters: NodeParameters) -> CameraFrame | None:
        """Take the newest frame, decoded, unless it is too old, too soon or unreadable."""
        frame = self.take()
        if frame is None:
            return None
        if not self._rate_limit.admits(frame.arrived_s, parameters.max_rate_hz):
            self._health.frame_dropped('above max_rate_hz')
            return None
        stands_still = frame.stamp_ns == self._last_stamp_ns
        self._last_stamp_ns = frame.stamp_ns
        if not self.is_fresh(frame, parameters, stands_still=stands_still):
            return None
        if frame.pixels is None:
            frame.pixels = self._decode(frame)
        if frame.pixels is None or not self._has_usual_size(frame.pixels, parameters):
            return None
        return frame

    def is_fresh(
        self, frame: CameraFrame, parameters: NodeParameters, *, stands_still: bool = False
    ) -> bool:
        """Tell whether a frame is young enough to be published; if not, it is counted."""
        age_s = frame.age_s(self.now_ns())
        if not parameters.max_age_s or age_s is None:
            return True
        if age_s < -parameters.max_age_s:
            self._node.get_logger().warning(
                f"{self.topic}: stamps are {-age_s:.1f} s ahead of this node's clock, so that "
                f"nothing is ever too old; synchronise the machines' clocks.",
                throttle_duration_sec=30.0,
            )
        if age_s <= parameters.max_age_s:
            return True
        problem = f'age {age_s:.2f} s, max_age_s {parameters.max_age_s:.2f}'
        if stands_still:
            sec, nanosec = divmod(frame.stamp_ns, 10**9)
            problem += f'; its stamps stand still at {sec}.{nanosec:09d}'
        self._health.frame_dropped('too old', problem)
        return False

    def now_ns(self) -> int | None:
        """Return the time by the node's clock [ns]; None under simulated time."""
        clock = self._node.get_clock()
        return None if clock.ros_time_is_active else int(clock.now().nanoseconds)

    def _has_usual_size(self, pixels: NDArray[np.uint8], parameters: NodeParameters) -> bool:
        """Tell whether a frame is of a size that a network is built for; if not, count it."""
        height, width = pixels.shape[:2]
        aspect = max(height, width) / min(height, width)
        most_px = 1e6 * parameters.max_frame_mpx
        if height * width <= most_px and aspect <= parameters.max_frame_aspect:
            return True
        problem = (
            f'{height} x {width} px; max_frame_mpx is {parameters.max_frame_mpx:g}, '
            f'max_frame_aspect {parameters.max_frame_aspect:g}'
        )
        self._health.frame_dropped('size', problem)
        return False

    def _decode(self, frame: CameraFrame) -> NDArray[np.uint8] | None:
        try:
            return self._decoder.to_rgb(frame.message)
        except Exception as error:  # whatever a hostile frame provokes, the node lives on
            self._health.frame_dropped('bad frame', str(error))
            sec, nanosec = divmod(frame.stamp_ns, 10**9)
            self._node.get_logger().error(
                f'{self.topic}: frame {sec}.{nanosec:09d} ({described_kind(frame.message)!r}) is '
                f'dropped: {error}',
                throttle_duration_sec=5.0,
            )
            return None
