# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: its subscription, a mailbox of one frame, and its publishers."""

from collections.abc import Callable
from dataclasses import dataclass
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
import numpy as np
from numpy.typing import NDArray
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSPolicyKind
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.render import overlay
from hyperseg_ros.conversions import compressed_to_rgb
from hyperseg_ros.conversions import encode_png
from hyperseg_ros.conversions import fill_image
from hyperseg_ros.conversions import image_to_rgb
from hyperseg_ros.conversions import scaled_camera_info
from hyperseg_ros.health import Snapshot
from hyperseg_ros.health import StreamHealth
from hyperseg_ros.health import cause_of_silence
from hyperseg_ros.health import values
from hyperseg_ros.image_topics import MESSAGES
from hyperseg_ros.image_topics import refused_subscribers
from hyperseg_ros.image_topics import similar_topics
from hyperseg_ros.image_topics import wrong_type
from hyperseg_ros.parameters import NodeParameters
from hyperseg_ros.rate_limit import RateLimit

# REP 2003: a subscription that takes best effort matches reliable publishers too; depth 1,
# because the newest frame wins.
_INPUT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_OUTPUT_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
# vision_msgs/LabelInfo asks for transient local, so that late subscribers learn the classes.
_LATCHED_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


@dataclass(slots=True)
class Frame:
    """A frame on its way."""

    message: Any
    arrived_s: float
    """Monotonic time of its arrival [s]."""
    pixels: NDArray[np.uint8] | None = None


class CameraStream:
    """Wires one camera: the executor fills its mailbox and the worker empties it."""

    def __init__(
        self, node: LifecycleNode, camera: str, labels: LabelSet, wake_worker: Callable[[], None]
    ) -> None:
        """Create the publishers.

        Args:
            node: The node.
            camera: The camera's name, or '' for the only one.
            labels: What the ids mean.
            wake_worker: Called when the mailbox has a new frame.
        """
        self.health = StreamHealth()
        self.name = camera or 'camera'
        self._node, self._labels, self._wake = node, labels, wake_worker
        self._prefix = f'{camera}/' if camera else ''
        out = f'~/{self._prefix}'
        self._mask = _publisher(node, Image, f'{out}mask')
        self._confidence = _publisher(node, Image, f'{out}confidence')
        self._png = _publisher(node, CompressedImage, f'{out}mask/compressed')
        self._overlay = _publisher(node, Image, f'{out}overlay')
        self._info = _publisher(node, CameraInfo, f'{out}camera_info')
        self._label_info = _label_info_publisher(node, f'{out}label_info')
        self._subscriptions: list[Any] = []
        self._camera_info: CameraInfo | None = None
        self._mailbox: Frame | None = None
        self._lock = threading.Lock()
        self._qos_problem = ''
        self._transport = 'raw'
        self._rate_limit = RateLimit()
        self._last_stamp: tuple[int, int] | None = None

    @property
    def topic(self) -> str:
        """The fully qualified topic of the camera."""
        return self._node.resolve_topic_name(f'{self._prefix}image')

    @property
    def is_listening(self) -> bool:
        """Whether the stream is subscribed; a deactivated node publishes nothing."""
        return bool(self._subscriptions)

    def subscribe(self, transport: str) -> None:
        """Start to listen."""
        kind = MESSAGES[transport]
        self._transport = transport
        self.health.start_waiting()
        # Of the wrong type, `status` tells.
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._on_incompatible_qos, use_default_callbacks=False
        )
        image = self._node.create_subscription(
            kind, f'{self._prefix}image', self._on_image, _INPUT_QOS, event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )  # fmt: skip
        info = self._node.create_subscription(
            CameraInfo, f'{self._prefix}camera_info', self._on_camera_info, _INPUT_QOS
        )
        self._subscriptions = [image, info]

    def unsubscribe(self) -> None:
        """Stop listening and empty the mailbox."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self.take() is not None:
            self.health.frame_dropped('deactivated')

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers():
            self._node.destroy_publisher(publisher)

    def _publishers(self) -> list[Publisher]:
        publishers = (
            self._mask, self._confidence, self._png, self._overlay, self._info, self._label_info,
        )  # fmt: skip
        return [publisher for publisher in publishers if publisher is not None]

    def _on_image(self, message: Any) -> None:
        self.health.frame_received()
        self._qos_problem = ''
        with self._lock:
            replaced, self._mailbox = self._mailbox, Frame(message, time.monotonic())
        if replaced is not None:
            self.health.frame_dropped('superseded')
        self._wake()

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _on_incompatible_qos(self, event: Any) -> None:
        policy = QoSPolicyKind(event.last_policy_kind).name.lower()
        self._qos_problem = f'incompatible {policy}'
        self._node.get_logger().warning(
            f'{self.topic}: the QoS of a publisher does not match, {policy} is incompatible; set '
            f'qos_overrides.{self.topic}.subscription.{policy} to what it offers.',
            throttle_duration_sec=5.0,
        )

    def take(self) -> Frame | None:
        """Empty the mailbox."""
        with self._lock:
            frame, self._mailbox = self._mailbox, None
        return frame

    def take_due(self, parameters: NodeParameters) -> Frame | None:
        """Take the newest frame, decoded, unless it is too old, too soon or unreadable."""
        frame = self.take()
        if frame is None:
            return None
        if not self._rate_limit.admits(frame.arrived_s, parameters.max_rate):
            self.health.frame_dropped('above max_rate')
            return None
        age_s = self._age_s(frame.message)
        stamp = (frame.message.header.stamp.sec, frame.message.header.stamp.nanosec)
        stands_still, self._last_stamp = stamp == self._last_stamp, stamp
        if parameters.max_age and age_s is not None and age_s > parameters.max_age:
            problem = f'age {age_s:.2f} s, max_age {parameters.max_age:.2f} s'
            if stands_still:
                problem += f'; its stamps stand still at {stamp[0]}.{stamp[1]:09d}'
            self.health.frame_dropped('too old', problem)
            return None
        frame.pixels = self._decode(frame.message)
        return frame if frame.pixels is not None else None

    def _age_s(self, message: Any) -> float | None:
        """Return the age by the node's clock; None under simulated time."""
        clock = self._node.get_clock()
        if clock.ros_time_is_active:
            return None
        return float((clock.now() - Time.from_msg(message.header.stamp)).nanoseconds) / 1e9

    def _decode(self, message: Any) -> NDArray[np.uint8] | None:
        try:
            if isinstance(message, CompressedImage):
                return compressed_to_rgb(message.data)
            return image_to_rgb(message)
        except Exception as error:  # whatever a hostile frame provokes, the node lives on
            kind = getattr(message, 'encoding', None) or getattr(message, 'format', '')
            self.health.frame_dropped('bad frame', str(error))
            stamp = message.header.stamp
            self._node.get_logger().error(
                f'{self.topic}: frame {stamp.sec}.{stamp.nanosec:09d} ({kind!r}) is dropped: '
                f'{error}',
                throttle_duration_sec=5.0,
            )
            return None

    def publish(
        self, frame: Frame, found: Segmentation, parameters: NodeParameters, keep: Any
    ) -> dict[str, float]:
        """Publish what was asked for and is listened to, each under the frame's own header."""
        header = frame.message.header
        ids = found.labels if keep is None else keep[found.labels]
        start_s = time.monotonic()
        if parameters.publish_mask:
            self._mask.publish(fill_image(Image(header=header), ids, 'mono8'))
        age_s = self._age_s(frame.message)
        if parameters.publish_confidence and self._confidence.get_subscription_count():
            message = fill_image(Image(header=header), found.confidence, 'mono8')
            self._confidence.publish(message)
        if parameters.publish_compressed and self._png.get_subscription_count():
            compressed = CompressedImage(header=header, format='mono8; png compressed ')
            compressed.data = encode_png(ids)
            self._png.publish(compressed)
        if parameters.publish_overlay and self._overlay.get_subscription_count():
            picture = self._overlay_of(frame, ids, parameters.overlay_alpha)
            self._overlay.publish(fill_image(Image(header=header), picture, 'rgb8'))
        if parameters.publish_camera_info and self._camera_info is not None:
            info = scaled_camera_info(self._camera_info, *ids.shape)
            info.header = header
            self._info.publish(info)
        stages = {'publish': time.monotonic() - start_s}
        return stages if age_s is None else stages | {'age': age_s}

    def _overlay_of(self, frame: Frame, ids: NDArray[np.uint8], alpha: float) -> NDArray[np.uint8]:
        from hyperseg_core.preprocessing import resize_frame

        assert frame.pixels is not None
        image = resize_frame(frame.pixels, (ids.shape[0], ids.shape[1]))
        return overlay(np.ascontiguousarray(image), ids, self._labels, alpha=alpha)

    def publish_label_info(self, threshold: float) -> None:
        """Publish what the ids mean; repeated, for bags that start late."""
        if self._label_info is None:
            return
        from vision_msgs.msg import LabelInfo
        from vision_msgs.msg import VisionClass

        message = LabelInfo()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.class_map = [
            VisionClass(class_id=index, class_name=name)
            for index, name in enumerate(self._labels.names)
        ]
        message.threshold = threshold
        self._label_info.publish(message)

    def status(self, engine: str, failure: str, *, is_building: bool) -> DiagnosticStatus:
        """Return the camera's diagnostics."""
        snapshot = self.health.snapshot()
        status = DiagnosticStatus(name=f'{self._node.get_name()}: {self.name}', hardware_id='')
        status.level, status.message = DiagnosticStatus.OK, f'{snapshot.rate_out_hz:.1f} masks/s'
        if snapshot.is_silent or failure:
            status.level = DiagnosticStatus.ERROR if failure else DiagnosticStatus.WARN
            status.message = self._cause(snapshot, failure, is_building=is_building)
            self._node.get_logger().warning(
                f'No mask for {self.topic}: {status.message}.', throttle_duration_sec=5.0
            )
        found = values(snapshot, engine)
        if refused := self._refused():
            found.append(('subscribers that get nothing', refused))
        status.values = [KeyValue(key=key, value=value) for key, value in found]
        return status

    def _refused(self) -> str:
        """Say, also in the log, who listens to an output in a way that gets nothing."""
        refused = [
            subscriber
            for publisher in self._publishers()
            for subscriber in refused_subscribers(self._node, publisher.topic_name)
        ]
        if refused:
            self._node.get_logger().warning(
                f'These subscribers get nothing: {", ".join(refused)}.',
                throttle_duration_sec=30.0,
            )
        return ', '.join(refused)

    def _cause(self, snapshot: Snapshot, failure: str, *, is_building: bool) -> str:
        return cause_of_silence(
            snapshot,
            topic=self.topic,
            num_publishers=self._node.count_publishers(self.topic),
            similar=similar_topics(self._node, self.topic),
            wrong_type=wrong_type(self._node, self.topic, self._transport),
            qos_problem=self._qos_problem,
            is_building=is_building,
            failure=failure,
        )


def keep_table(labels: LabelSet, classes: tuple[str, ...]) -> NDArray[np.uint8] | None:
    """Return the table that turns the ids of unwanted classes to 255; None where all stay."""
    if not classes:
        return None
    table = np.full(256, IGNORE_ID, np.uint8)
    kept = list(labels.ids(classes))
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
    return _publisher(node, LabelInfo, topic, _LATCHED_QOS)


def _publisher(
    node: LifecycleNode, kind: Any, topic: str, qos: QoSProfile = _OUTPUT_QOS
) -> Publisher:
    """Create a publisher without events.

    rclpy's executor waits for each of them anew at every message; `status` looks for what they
    would tell once a second.
    """
    events = PublisherEventCallbacks(use_default_callbacks=False)
    return node.create_publisher(kind, topic, qos, event_callbacks=events)
