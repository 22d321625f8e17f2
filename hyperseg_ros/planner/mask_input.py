# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's masks for a planner: mask, confidence, camera_info and label_info put together."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hyperseg_core.errors import InputError
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_ros.graph.events import subscription_events
from hyperseg_ros.messages.mask import read_ids
from hyperseg_ros.node.camera_input import input_qos
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.loss_counter import LossCounter
from hyperseg_ros.planner.drop_log import DropLog
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.lens import LensError
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.planner.mask_classes import heard_label_set
from hyperseg_ros.planner.mask_classes import label_info_class

_KEPT = 4
"""Masks and confidences that wait for each other."""
_CONFIDENCE_S = 1.0
"""How long a mask waits for its confidence."""


@dataclass(frozen=True, slots=True)
class MaskFrame:
    """A mask and what is known about it."""

    header: Header
    mask: NDArray[np.uint8]
    """(H, W) ids."""
    confidence: NDArray[np.uint8] | None
    """(H, W), 0 to 255."""
    lens: Lens
    label_set: LabelSet
    arrived_s: float
    """Monotonic time of its arrival [s]."""

    @property
    def stamp_ns(self) -> int:
        """The stamp of the camera's frame."""
        return stamp_ns(self.header)


def stamp_ns(header: Header) -> int:
    """Return a header's stamp; drivers send negative seconds, too."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


class MaskInput:
    """Subscribes to a camera's masks and hands each on once all that belongs to it is there."""

    def __init__(
        self,
        node: LifecycleNode,
        prefix: str,
        health: StreamHealth,
        on_frame: Callable[[MaskFrame], None],
        *,
        label_set: str,
        is_rectified: bool,
        with_confidence: bool,
        without_confidence: str,
    ) -> None:
        """Describe the input; nothing is subscribed to yet.

        Args:
            node: The node.
            prefix: The camera's namespace below the node's, `front/`, or ''.
            health: Where masks and drops are counted.
            on_frame: Called with each mask.
            label_set: What the ids mean, by name or path; '': as `label_info` says.
            is_rectified: Whether the masks are of rectified images.
            with_confidence: Whether masks wait for the confidence of their stamp.
            without_confidence: The parameter, with its value, that makes do without.

        Raises:
            ConfigError: If the label set cannot be read, or vision_msgs is missing where needed.
        """
        self._node, self._prefix, self._health, self._on_frame = node, prefix, health, on_frame
        self._drops = DropLog(node, health)
        self._is_rectified, self._with_confidence = is_rectified, with_confidence
        self._without_confidence = without_confidence
        self._losses = LossCounter(health)
        self._label_set = load_labels(label_set) if label_set else None
        self._label_info_class = None if label_set else label_info_class()
        self._info: CameraInfo | None = None
        self._lens: tuple[Any, Lens] | None = None
        self._masks: OrderedDict[int, tuple[Image, float]] = OrderedDict()
        self._confidences: OrderedDict[int, Image] = OrderedDict()
        self._subscriptions: list[Any] = []

    def topic(self, name: str) -> str:
        """Return the full name of one of the inputs."""
        return str(self._node.resolve_topic_name(f'{self._prefix}{name}'))

    @property
    def is_listening(self) -> bool:
        """Whether it is subscribed."""
        return bool(self._subscriptions)

    def subscribe(self) -> None:
        """Start to listen."""
        self._health.start_waiting()
        self._losses = LossCounter(self._health)
        topic, events = f'{self._prefix}mask', loss_events(self._node, self._losses)
        self._subscriptions.append(
            self._node.create_subscription(
                Image, topic, self._on_mask, input_qos(), event_callbacks=events
            )
        )
        self._listen(CameraInfo, 'camera_info', self._on_info, input_qos())
        if self._with_confidence:
            self._listen(Image, 'confidence', self._on_confidence, input_qos(depth=2))
        if self._label_info_class is not None:
            latched = QoSProfile(
                depth=1,
                reliability=ReliabilityPolicy.RELIABLE,
                durability=DurabilityPolicy.TRANSIENT_LOCAL,
            )
            self._listen(self._label_info_class, 'label_info', self._on_label_info, latched)

    def _listen(self, kind: Any, name: str, callback: Any, qos: QoSProfile) -> None:
        topic = f'{self._prefix}{name}'
        self._subscriptions.append(self._node.create_subscription(kind, topic, callback, qos))

    def unsubscribe(self) -> None:
        """Stop listening and leave out what waits."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        for _ in self._masks:
            self._health.frame_dropped('deactivated')
        self._masks.clear()
        self._confidences.clear()

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_label_info(self, message: Any) -> None:
        try:
            self._label_set = heard_label_set(message)
        except Exception as error:
            self.drop('bad label_info', error)

    def _on_mask(self, message: Image, info: Any) -> None:
        self._losses.on_received(info)
        stamp = stamp_ns(message.header)
        if not self._with_confidence:
            self._hand_on(message, None, time.monotonic())
        elif stamp in self._confidences:
            self._hand_on(message, self._confidences.pop(stamp), time.monotonic())
        else:
            if self._masks.pop(stamp, None) is not None:
                self._drop_without_confidence()
            self._masks[stamp] = (message, time.monotonic())
            if len(self._masks) > _KEPT:
                self._masks.popitem(last=False)
                self._drop_without_confidence()

    def expire(self) -> None:
        """Leave out the masks that have waited for their confidence long enough."""
        until_s = time.monotonic() - _CONFIDENCE_S
        while self._masks and next(iter(self._masks.values()))[1] <= until_s:
            self._masks.popitem(last=False)
            self._drop_without_confidence()

    def _drop_without_confidence(self) -> None:
        topic = self.topic('confidence')
        told = f"nothing on {topic} has the mask's stamp"
        if not self._node.count_publishers(topic):
            told = f'nothing publishes on {topic}, which masks wait for'
        self.drop('no confidence', f'{told}; remap it, or set `{self._without_confidence}`')

    def _on_confidence(self, message: Image) -> None:
        stamp = stamp_ns(message.header)
        if stamp in self._masks:
            mask, arrived_s = self._masks.pop(stamp)
            self._hand_on(mask, message, arrived_s)
            return
        self._confidences[stamp] = message
        if len(self._confidences) > _KEPT:
            self._confidences.popitem(last=False)

    def _hand_on(self, message: Image, confidence: Image | None, arrived_s: float) -> None:
        """Read a mask and pass it on; whatever is wrong with it is counted and told."""
        cause = 'bad mask'
        try:
            mask = _as_bytes(message)
            cause = 'bad confidence'
            sure = None if confidence is None else _confidence_of(confidence, mask)
            cause = 'no camera_info'
            lens = self._lens_for(mask.shape)
            cause = 'no label_info'
            label_set = self._known_label_set()
            cause = 'bad mask'
            self._on_frame(MaskFrame(message.header, mask, sure, lens, label_set, arrived_s))
        except LensError as error:
            self.drop('bad camera_info', error)
        except Exception as error:  # whatever one mask provokes, the others are worked on
            self.drop(cause, error)

    def _lens_for(self, shape: tuple[int, ...]) -> Lens:
        info = self._info
        if info is None:
            topic = self.topic('camera_info')
            count = self._node.count_publishers(topic)
            told = 'but none has come' if count else 'nothing publishes there'
            msg = f'no camera_info on {topic}: {count} publisher(s), {told}'
            raise InputError(msg)
        key = (shape, numbers_of(info))
        if self._lens is None or self._lens[0] != key:
            lens = lens_of(info, shape[0], shape[1], is_rectified=self._is_rectified)
            self._lens = (key, lens)
        return self._lens[1]

    def _known_label_set(self) -> LabelSet:
        if self._label_set is None:
            topic = self.topic('label_info')
            msg = f'no label_info on {topic}; or set `label_set` to what the ids mean'
            raise InputError(msg)
        return self._label_set

    def drop(self, cause: str, error: object) -> None:
        """Count a mask that is left out, and say why."""
        self._drops.drop(self.topic('mask'), cause, error)


def loss_events(node: LifecycleNode, losses: LossCounter) -> Any:
    """Return the events of an input: best effort matches all publishers, so losses matter."""

    def on_incompatible_qos(_: Any) -> None:
        node.get_logger().warning(
            "A publisher's QoS does not match an input's.", throttle_duration_sec=5.0
        )

    return subscription_events(on_incompatible_qos, losses.on_message_lost)


def _as_bytes(message: Image) -> NDArray[np.uint8]:
    ids = read_ids(message)
    if ids.dtype != np.uint8:
        msg = f'Encoding {message.encoding[:80]!r} is no mono8.'
        raise InputError(msg)
    return np.ascontiguousarray(ids, np.uint8)


def _confidence_of(message: Image, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    confidence = _as_bytes(message)
    if confidence.shape != mask.shape:
        msg = f'The confidence is of {confidence.shape} px, the mask of {mask.shape} px.'
        raise InputError(msg)
    return confidence


def numbers_of(info: CameraInfo) -> tuple[Any, ...]:
    """Return what a lens is made of, to tell whether it has changed."""
    region = info.roi
    sizes = (info.height, info.width, info.binning_x, info.binning_y)
    window = (region.x_offset, region.y_offset, region.height, region.width)
    numbers = tuple(np.asarray(item).tobytes() for item in (info.k, info.d, info.p))
    return (*sizes, *window, *numbers, info.distortion_model)
