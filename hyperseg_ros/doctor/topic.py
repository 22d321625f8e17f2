# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg doctor --topic`: why a camera's topic would give no masks, from the shell."""

import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rich.console import Console

from hyperseg_core.errors import InputError
from hyperseg_ros.graph.image_topics import TRANSPORTS
from hyperseg_ros.graph.image_topics import message_class
from hyperseg_ros.graph.image_topics import similar_topics
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.decoding import described_kind
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.health import cause_of_silence
from hyperseg_ros.process.leaving import leave_graph


def examine_topic(topic: str, seconds: float = 4.0) -> bool:
    """Listen to a topic for a while and print what the node would make of it.

    Returns:
        Whether frames that can be segmented arrive.

    Raises:
        InputError: If no topic can be called so.
    """
    rclpy.init(args=[])
    node = rclpy.create_node('hyperseg_doctor')
    is_good = False
    try:
        is_good = _listen(node, topic, seconds)
        return is_good
    finally:
        leave_graph(node, status=0 if is_good else 1)


def _listen(node: Node, topic: str, seconds: float) -> bool:
    console = Console()
    health, decoder, seen = StreamHealth(), ImageDecoder(), {'encoding': ''}
    _spin(node, 1.0)
    try:
        publishers = node.get_publishers_info_by_topic(topic)
    except ValueError as error:  # rclpy has a class for each way a name can be wrong
        raise InputError(str(error)) from error
    for info in publishers:
        reliability = info.qos_profile.reliability.name.lower()
        console.print(f'{topic}: {info.topic_type} from {info.node_name}, {reliability}')
    types = [info.topic_type for info in publishers if info.topic_type in TRANSPORTS]
    if publishers and not types:
        console.print(f'{topic} carries no image; expected one of {", ".join(TRANSPORTS)}.')
        return False
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    if types:
        node.create_subscription(
            message_class(TRANSPORTS[types[0]]),
            topic,
            lambda message: _examine(message, decoder, health, seen),
            qos,
        )
    _spin(node, seconds)
    snapshot = health.snapshot()
    if snapshot.published:
        console.print(f'{snapshot.rate_in_hz:.1f} frames/s, {seen["encoding"]}: can be segmented.')
        return True
    reason = cause_of_silence(
        snapshot, topic=topic, num_publishers=len(publishers),
        similar=similar_topics(node, topic), wrong_type='', qos_problem='',
        is_building=False, failure='',
    )  # fmt: skip
    console.print(f'No frame that can be segmented on {topic}: {reason}.')
    return False


def _examine(
    message: Any, decoder: ImageDecoder, health: StreamHealth, seen: dict[str, str]
) -> None:
    health.frame_received()
    try:
        pixels = decoder.to_rgb(message)
    except Exception as error:  # as in the node, whatever a frame provokes is its drop
        health.frame_dropped('bad frame', str(error))
        return
    seen['encoding'] = f'{pixels.shape[0]} x {pixels.shape[1]} px, {described_kind(message)}'
    health.frame_published()


def _spin(node: Node, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            rclpy.spin_once(node, timeout_sec=0.1)
        except (UnicodeDecodeError, ValueError) as error:  # a message that rclpy cannot read
            node.get_logger().warning(f'A message is left out: {error}', once=True)
