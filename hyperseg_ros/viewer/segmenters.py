# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which segmenters the graph has, and the topics of each of their cameras."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

from rclpy.node import Node

from hyperseg_ros.graph.image_topics import TRANSPORTS

_IMAGE = 'sensor_msgs/msg/Image'
_CHANGE_STATE = 'lifecycle_msgs/srv/ChangeState'
_OUTPUTS = ('mask', 'confidence', 'overlay')
"""Names of a camera's images, unless they are remapped."""
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
    confidence: str = ''
    """Topic."""
    label_info: str = ''
    """Topic of what the ids mean."""


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
    images = {name for name, types in published if _IMAGE in types}
    own = {name: name.rpartition('/') for name in images if name.startswith(f'{node}/')}
    outputs = [prefix for prefix, _, name in own.values() if name in _OUTPUTS]
    prefixes = sorted(prefix for prefix in set(outputs) if outputs.count(prefix) > 1)
    moved = _remapped(images, prefixes)
    cameras = sorted(name for name, types in subscribed if TRANSPORTS.keys() & set(types))
    is_plain = len(prefixes) == 1 and len(cameras) == 1
    found = []
    for prefix in prefixes:
        mask = moved.get(f'{prefix}/mask', f'{prefix}/mask')
        confidence = moved.get(f'{prefix}/confidence', f'{prefix}/confidence')
        name = prefix.removeprefix(node).lstrip('/') or 'camera'
        picture = cameras[0] if is_plain else ''
        if {mask, confidence} <= images:
            found.append(Stream(name, mask, picture, confidence, f'{prefix}/label_info'))
    return tuple(found)


def _remapped(images: set[str], prefixes: Iterable[str]) -> dict[str, str]:
    """Return where an output went that is not under its own name.

    The graph knows no remappings: one image is missing, and one is there that has another name.
    """
    expected = {f'{prefix}/{name}' for prefix in prefixes for name in _OUTPUTS}
    missing, others = expected - images, images - expected
    return dict(zip(missing, others, strict=True)) if len(missing) == len(others) == 1 else {}


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
        replace(stream, picture=told.get(stream.name) or stream.picture) for stream in streams
    )
