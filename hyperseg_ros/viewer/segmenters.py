# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which segmenters the graph has, and the topics of each of their cameras."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from rclpy.node import Node

from hyperseg_ros.graph.image_topics import TRANSPORTS

_IMAGE = 'sensor_msgs/msg/Image'
_CHANGE_STATE = 'lifecycle_msgs/srv/ChangeState'
Topics = Sequence[tuple[str, Sequence[str]]]
"""Names, and the types of each."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One camera of a segmenter."""

    name: str
    """As in diagnostics: `camera` where there is only one."""
    mask: str
    """Topic, which is what the stream is known by."""
    picture: str = ''
    """Topic of the camera; '' where it is not known yet."""

    @property
    def confidence(self) -> str:
        """Topic of the confidence."""
        return f'{self.mask.removesuffix("mask")}confidence'

    @property
    def label_info(self) -> str:
        """Topic of what the ids mean."""
        return f'{self.mask.removesuffix("mask")}label_info'


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A node that may be a segmenter."""

    name: str
    is_lifecycle: bool
    streams: tuple[Stream, ...] = field(default=())


def streams_of(node: str, published: Topics, subscribed: Topics) -> tuple[Stream, ...]:
    """Return the cameras of a node by the topics that it has; none if it is no segmenter.

    Args:
        node: Full name.
        published: What it publishes.
        subscribed: What it listens to.
    """
    names = {name for name, _ in published}
    masks = sorted(
        name
        for name, types in published
        if name.startswith(f'{node}/') and name.endswith('/mask') and _IMAGE in types
        if f'{name.removesuffix("mask")}confidence' in names
    )
    cameras = sorted(name for name, types in subscribed if TRANSPORTS.keys() & set(types))
    is_plain = len(masks) == 1 and len(cameras) == 1
    return tuple(
        Stream(_camera_name(node, mask), mask, cameras[0] if is_plain else '') for mask in masks
    )


def _camera_name(node: str, mask: str) -> str:
    return mask.removeprefix(f'{node}/').removesuffix('mask').rstrip('/') or 'camera'


def find_nodes(node: Node) -> list[FoundNode]:
    """Return the nodes that publish diagnostics and masks, or may do so when configured.

    Args:
        node: Ours, which is asked what it sees.
    """
    found = []
    for name, namespace in sorted(set(node.get_node_names_and_namespaces())):
        full_name = f'{namespace.rstrip("/")}/{name}'
        try:
            published = node.get_publisher_names_and_types_by_node(name, namespace)
            if not any(topic == '/diagnostics' for topic, _ in published):
                continue
            subscribed = node.get_subscriber_names_and_types_by_node(name, namespace)
            services = node.get_service_names_and_types_by_node(name, namespace)
        except Exception:  # it left meanwhile; each distribution has a class of its own for that
            continue
        is_lifecycle = any(_CHANGE_STATE in types for _, types in services)
        streams = streams_of(full_name, published, subscribed)
        if is_lifecycle or streams:
            found.append(FoundNode(full_name, is_lifecycle, streams))
    return found


def with_topics(streams: Iterable[Stream], told: Mapping[str, str]) -> tuple[Stream, ...]:
    """Return streams with the cameras' topics that diagnostics told, by the streams' names."""
    return tuple(
        Stream(stream.name, stream.mask, told.get(stream.name) or stream.picture)
        for stream in streams
    )
