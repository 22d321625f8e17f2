# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes of the graph say where the ground is free, as `ground` does."""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node

from hyperseg_ros.viewer.segmenters import Topics

KINDS: Mapping[str, str] = {
    'scan': 'sensor_msgs/msg/LaserScan',
    'grid': 'nav_msgs/msg/OccupancyGrid',
    'free_space': 'geometry_msgs/msg/PolygonStamped',
}
"""What such a node publishes below its name, and the types; `free_space` may be missing."""
_MASK, _INFO = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CameraInfo'
MAX_GROUNDS = 64
"""That pages are told of."""


@dataclass(frozen=True, slots=True)
class Ground:
    """A node that publishes scan and grid."""

    name: str
    """Full name, which is also what its topics begin with."""
    parts: tuple[str, ...]
    """Those of `KINDS` that it publishes."""
    mask: str = ''
    """Topic of the mask that it reads; '' while it reads none, or more than one."""
    camera_info: str = ''
    """Topic of that camera's CameraInfo; '' likewise."""


def ground_names(topics: Topics) -> list[str]:
    """Return what nodes of such topics would be called.

    Args:
        topics: All of the graph.
    """
    known = {name: set(types) for name, types in topics}
    prefixes = [name.removesuffix('/scan') for name in known if name.endswith('/scan')]
    return sorted(
        prefix
        for prefix in prefixes
        if prefix
        and all(KINDS[part] in known.get(f'{prefix}/{part}', ()) for part in ('scan', 'grid'))
    )[:MAX_GROUNDS]


def ground_of(name: str, published: Topics, subscribed: Topics) -> Ground | None:
    """Return what a node says of the ground, by the topics that it has; None if nothing.

    Args:
        name: Full name.
        published: What it publishes.
        subscribed: What it listens to.
    """
    known = {topic: types for topic, types in published}
    parts = tuple(part for part, kind in KINDS.items() if kind in known.get(f'{name}/{part}', ()))
    if not {'scan', 'grid'} <= set(parts):
        return None
    # Beside the mask, `ground` may listen to the confidence.
    masks = [topic for topic in _of_kind(subscribed, _MASK) if not topic.endswith('/confidence')]
    infos = _of_kind(subscribed, _INFO)
    has_one = len(masks) == 1 and len(infos) == 1
    return Ground(name, parts, *((masks[0], infos[0]) if has_one else ()))


def _of_kind(topics: Topics, kind: str) -> Sequence[str]:
    return sorted(topic for topic, types in topics if kind in types)


def find_grounds(node: Node) -> list[Ground]:
    """Return the nodes that publish scan and grid below their names.

    Args:
        node: Ours, which is asked what it sees.
    """
    found = []
    for full_name in ground_names(node.get_topic_names_and_types()):
        namespace, _, name = full_name.rpartition('/')
        try:
            published = node.get_publisher_names_and_types_by_node(name, namespace or '/')
            subscribed = node.get_subscriber_names_and_types_by_node(name, namespace or '/')
        except Exception:  # no node is called so, or it left meanwhile
            continue
        ground = ground_of(full_name, published, subscribed)
        if ground is not None:
            found.append(ground)
    return found
