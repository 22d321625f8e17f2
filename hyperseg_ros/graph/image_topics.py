# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ROS graph tells about topics with images: what they carry, and which there are."""

import importlib
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility
from rclpy.qos import qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hyperseg_core.errors import ConfigError

TRANSPORTS = {
    'sensor_msgs/msg/Image': 'raw',
    'sensor_msgs/msg/CompressedImage': 'compressed',
    'ffmpeg_image_transport_msgs/msg/FFMPEGPacket': 'ffmpeg',
    'foxglove_msgs/msg/CompressedVideo': 'foxglove',
}
"""The transport of each message type."""
VIDEO_TRANSPORTS = frozenset({'ffmpeg', 'foxglove'})
"""Those whose messages need the ones before them to be decoded."""
_MAX_SIMILAR = 5


def message_class(transport: str) -> Any:
    """Return the class of a transport's messages.

    Raises:
        ConfigError: If its package is not installed.
    """
    name = next(name for name, known in TRANSPORTS.items() if known == transport)
    package, _, kind = name.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), kind)
    except ImportError as err:
        apt = package.replace('_', '-')
        msg = (
            f'Transport {transport!r} needs {package}, which is not installed: '
            f'apt install ros-$ROS_DISTRO-{apt}.'
        )
        raise ConfigError(msg) from err


def camera_info_topic(image_topic: str) -> str:
    """Return where the CameraInfo of an image topic lies: beside it, as image_transport has it.

    `/camera/image_raw` and `/camera/image_raw/compressed` have `/camera/camera_info`.
    """
    base = image_topic.removesuffix('/compressed')
    return f'{base.rpartition("/")[0]}/camera_info'


def wrong_type(node: Node, topic: str, transport: str) -> str:
    """Say what a topic carries instead of a transport's messages, and what to set; else ''."""
    types = sorted({item.topic_type for item in node.get_publishers_info_by_topic(topic)})
    transports = [TRANSPORTS[name] for name in types if name in TRANSPORTS]
    if not types or transport in transports:
        return ''
    remedy = f'set `transport: {transports[0]}`' if transports else 'remap `image` to the camera'
    return f'{", ".join(types)}; {remedy}'


def refused_subscribers(node: Node, topic: str) -> list[str]:
    """Say which subscribers get nothing from a node, as they ask for what it does not offer."""
    own = node.get_fully_qualified_name()
    # Not by the publisher's own profile: what is not set has another name there.
    offers = [info for info in node.get_publishers_info_by_topic(topic) if _name(info) == own]
    found = []
    for wish in node.get_subscriptions_info_by_topic(topic):
        reasons = [reason for offer in offers if (reason := _mismatch(offer, wish))]
        if reasons:
            found.append(f'{_name(wish)} on {topic} ({reasons[0]})')
    return found


def _mismatch(offer: TopicEndpointInfo, wish: TopicEndpointInfo) -> str:
    if wish.topic_type != offer.topic_type:
        return f'takes {wish.topic_type}, not {offer.topic_type}'
    verdict, reason = qos_check_compatible(offer.qos_profile, wish.qos_profile)
    return reason.strip(' ;') if verdict == QoSCompatibility.ERROR else ''


def _name(info: TopicEndpointInfo) -> str:
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'


def similar_topics(node: Node, topic: str) -> list[str]:
    """Return some topics that images are published on, neither `topic` nor of the node itself."""
    own = node.get_fully_qualified_name()
    topics = [
        name
        for name, types in node.get_topic_names_and_types()
        if TRANSPORTS.keys() & set(types)
        and not name.startswith(f'{own}/')
        and name != topic
        and node.count_publishers(name)
    ]
    return sorted(topics)[:_MAX_SIMILAR]
