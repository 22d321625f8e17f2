# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag show what a camera sees, and where their masks go."""

from dataclasses import dataclass
from typing import Any

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.reader import BagReader
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.compressed_image import parse_format
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.decoding import IMAGE_TYPES
from hyperseg_ros.messages.decoding import VIDEO_TYPES
from hyperseg_ros.messages.raw_image import DEPTH_ENCODINGS
from hyperseg_ros.messages.video_packet import INSTALL
from hyperseg_ros.messages.video_packet import is_video_installed

_OUTPUTS = ('mask', 'confidence', 'overlay')
"""Last names of a segmenter's topics."""
_ID_ENCODINGS = ('mono8', '8UC1')
_NAMED = 12
"""So many topics are listed in an error."""


@dataclass(frozen=True, slots=True)
class ImageTopics:
    """The connections to label, and why others with images are not among them."""

    chosen: list[Connection]
    left_out: list[str]
    """A line for each topic."""


def image_topics(reader: BagReader, topics: list[str] | None) -> ImageTopics:
    """Choose the connections with a camera's images, or those of the topics asked for.

    Raises:
        InputError: If a topic asked for has no images, or there is none at all.
    """
    carriers = [item for item in reader.connections if item.msgtype in IMAGE_TYPES]
    foreign = [item for item in reader.connections if not item.can_be_read]
    if topics is not None:
        return _asked_for(reader, carriers, topics)
    reasons = {item.id: _why_not(reader, item, carriers) for item in carriers}
    chosen = [item for item in carriers if not reasons[item.id]]
    left_out = [f'{c.topic} is left out: {reasons[c.id]}.' for c in carriers if reasons[c.id]]
    left_out += [
        f'{c.topic} is left out: its messages are {c.encoding[:40] or "of no known encoding"}, '
        f'not ROS.'
        for c in foreign
        if c not in carriers
    ]
    if not chosen:
        lines = [f'The bag has no topic of a camera; it has: {described(reader)}.', *left_out]
        if any(reasons.values()):
            lines.append('--topics NAME labels a topic all the same.')
        raise InputError(' '.join(lines))
    return ImageTopics(chosen, left_out)


def _asked_for(reader: BagReader, carriers: list[Connection], topics: list[str]) -> ImageTopics:
    usable = [item for item in carriers if item.can_be_read]
    names = {item.topic for item in usable}
    for topic in topics:
        if topic not in names:
            listed = ', '.join(sorted(names)) or f'none. It has: {described(reader)}'
            msg = f'No images on topic {topic!r}; topics with images: {listed}.'
            raise InputError(msg)
    if not is_video_installed():
        for item in usable:
            if item.topic in topics and item.msgtype in VIDEO_TYPES:
                msg = f'{item.topic} is a video ({item.msgtype}), which needs PyAV: {INSTALL}.'
                raise InputError(msg)
    return ImageTopics([item for item in usable if item.topic in topics], [])


def _why_not(reader: BagReader, connection: Connection, carriers: list[Connection]) -> str:
    """Return why a topic is no camera's, or ''."""
    if not connection.can_be_read:
        return f'its messages are {connection.encoding[:40]!r}, not ROS'
    if connection.msgtype in VIDEO_TYPES and not is_video_installed():
        return f'it is a video ({connection.msgtype}), which needs PyAV: {INSTALL}'
    if _is_segmenters(reader, connection, carriers):
        return 'it is the output of a segmenter, not a camera'
    if connection.topic.endswith('/compressedDepth'):
        return 'it is depth (compressedDepth)'
    first = _first(reader, connection)
    if getattr(first, 'encoding', '') in DEPTH_ENCODINGS:
        return f'it is depth or ids ({first.encoding})'
    if hasattr(first, 'format') and parse_format(first.format).is_depth:
        return f'it is depth or ids ({first.format[:60]})'
    if _last_name(connection.topic) == 'labels' and _holds_ids(first):
        return 'it holds true labels, not a camera'
    return ''


def _is_segmenters(reader: BagReader, connection: Connection, carriers: list[Connection]) -> bool:
    """Tell whether beside `.../mask`, with ids, this is one of the topics of a segmenter."""
    if _last_name(connection.topic) not in _OUTPUTS:
        return False
    prefix = _without_last(connection.topic)
    masks = [c for c in carriers if c.topic == f'{prefix}/mask' and c.msgtype == IMAGE]
    has_info = any(c.topic == f'{prefix}/label_info' for c in reader.connections)
    return has_info or any(_holds_ids(_first(reader, mask)) for mask in masks)


def _holds_ids(message: Any) -> bool:
    return getattr(message, 'encoding', '') in _ID_ENCODINGS


def _first(reader: BagReader, connection: Connection) -> Any:
    """Return a connection's first message, or None."""
    if not connection.can_be_read:
        return None
    for message in reader.messages([connection]):
        try:
            return MessageTypes().deserialize(message)
        except InputError:
            return None
    return None


def _last_name(topic: str) -> str:
    return topic.removesuffix('/compressed').rpartition('/')[2]


def _without_last(topic: str) -> str:
    return topic.removesuffix('/compressed').rpartition('/')[0]


def described(reader: BagReader) -> str:
    """List a bag's topics with their types, for an error."""
    topics = sorted({f'{c.topic} ({c.msgtype or c.encoding})'[:200] for c in reader.connections})
    more = f' and {len(topics) - _NAMED} more' if len(topics) > _NAMED else ''
    return (', '.join(topics[:_NAMED]) or 'no topics') + more


def output_prefixes(topics: set[str]) -> dict[str, str]:
    """Return where each topic's masks go: /front/image_raw becomes /segmenter/front.

    Topics that would share a place keep their whole name: /segmenter/front/image_raw.
    """
    short = {topic: topic.removesuffix('/compressed').rpartition('/')[0] for topic in topics}
    places = list(short.values())
    return {
        topic: f'/segmenter{camera if places.count(camera) == 1 else topic}'
        for topic, camera in short.items()
    }
