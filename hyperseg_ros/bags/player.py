# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishing a bag's messages as they are, each topic with its own type and QoS."""

from collections import Counter
from dataclasses import dataclass
import logging
import time
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rich.progress import BarColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rosgraph_msgs.msg import Clock

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.pace import Pace
from hyperseg_ros.bags.publishers import message_class
from hyperseg_ros.bags.publishers import qos_of
from hyperseg_ros.bags.reader import BagReader
from hyperseg_ros.bags.topics import described
from hyperseg_ros.bags.types import MessageTypes

_logger = logging.getLogger(__name__)
_MATCH_S, _SETTLE_S = 5.0, 1.2
"""With Fast DDS's `LARGE_DATA`, processes of one machine know each other after 2.7 to 3.3 s, and
messages arrive 0.7 to 0.9 s later (measured; with its default, at once)."""
_LAST_S, _LEAVE_S = 2.0, 0.2
_END_NS = 2**31 * 10**9
"""ROS's time ends there; a message recorded later has a damaged log time."""
_HEAD_BYTES = 4


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """How a bag is played."""

    rate: float = 1.0
    loop: bool = False
    start: float = 0.0
    duration: float | None = None
    topics: tuple[str, ...] | None = None
    remap: tuple[str, ...] = ()
    clock: bool = False


class BagPlayer:
    """Plays one bag on one node."""

    def __init__(self, node: Node, reader: BagReader, options: PlayOptions) -> None:
        """Create a publisher for every topic whose type is installed.

        Raises:
            InputError: If a topic asked for is not in the bag, or nothing can be played.
            ConfigError: If a remapping is no FROM:=TO.
        """
        self._reader, self._options = reader, options
        self._types = MessageTypes()
        self._names = dict(_remapping(item) for item in options.remap)
        known = {connection.topic for connection in reader.connections}
        for topic in options.topics or ():
            if topic not in known:
                msg = f'No topic {topic!r} in the bag; it has: {described(reader)}.'
                raise InputError(msg)
        self._publishers: dict[int, Any] = {}
        self._connections: list[Connection] = []
        self._failed: Counter[str] = Counter()
        self.num_published = 0
        """Messages that were published so far."""
        for connection in reader.connections:
            if options.topics is None or connection.topic in options.topics:
                self._add_publisher(node, connection)
        if not self._connections:
            msg = f'Nothing in the bag can be played; it has: {described(reader)}.'
            raise InputError(msg)
        self._clock = node.create_publisher(Clock, '/clock', 10) if options.clock else None

    def _add_publisher(self, node: Node, connection: Connection) -> None:
        topic = self._names.get(connection.topic, connection.topic)
        try:
            if not connection.can_be_read:
                msg = f'its messages are {connection.encoding[:40]!r}, not ROS.'
                raise InputError(msg)
            kind = message_class(connection.msgtype)
            publisher = node.create_publisher(kind, topic, qos_of(connection))
        except InputError as error:
            _logger.warning('%s is skipped: %s', connection.topic, error)
        except Exception as error:  # rclpy has a class for each way a name can be wrong
            reason = str(error).partition('\n')[0].rstrip(':')
            _logger.warning('%s cannot be published as %r: %s.', connection.topic, topic, reason)
        else:
            self._publishers[connection.id] = publisher
            self._connections.append(connection)

    def play(self) -> None:
        """Play to the end, or for ever."""
        self._wait_for_subscribers()
        while rclpy.ok():
            self._play_once()
            if not self._options.loop:
                self._wait_until_received()
                return

    def losses(self) -> list[str]:
        """Return what could not be read or published, a line each."""
        failed = [f'{text}, {count} times' for text, count in self._failed.items()]
        gaps = [str(gap) for gap in self._reader.gaps(self._connections)]
        return [*failed, *self._reader.problems, *gaps]

    def _wait_for_subscribers(self) -> None:
        """Give discovery a moment, so that the first messages find someone."""
        publishers = self._publishers.values()
        end_s = time.monotonic() + _MATCH_S
        while time.monotonic() < end_s:
            if all(publisher.get_subscription_count() for publisher in publishers):
                break
            time.sleep(0.02)
        if any(publisher.get_subscription_count() for publisher in publishers):
            # A publisher knows its subscriber before that one knows it; until then a fast topic
            # would overrun what its history keeps.
            time.sleep(_SETTLE_S)

    def _wait_until_received(self) -> None:
        """Give what was published last time to arrive, where its receivers confirm it."""
        end_s = time.monotonic() + _LAST_S
        for publisher in self._publishers.values():
            left_s = max(end_s - time.monotonic(), 0.0)
            publisher.wait_for_all_acked(Duration(seconds=left_s))
        time.sleep(_LEAVE_S)  # the others get no confirmation, but what is sent has to leave

    def _play_once(self) -> None:
        options = self._options
        first_ns = min(self._reader.start_time, _END_NS - 1) + round(options.start * 1e9)
        last_ns = min(self._reader.end_time, _END_NS - 1)
        if options.duration is not None:
            last_ns = min(last_ns, first_ns + round(options.duration * 1e9))
        pace = Pace(first_ns, options.rate, self._tick, rclpy.ok)
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.percentage:.0f}%'),
        )
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task('playing', total=max(last_ns - first_ns, 1))
            for message in self._reader.messages(self._connections):
                if not rclpy.ok():
                    return
                if message.time_ns >= _END_NS:
                    self._failed[f'{message.connection.topic}: log time beyond 2^31 s'] += 1
                    continue
                if message.time_ns > last_ns and options.duration is not None:
                    return
                if message.time_ns < first_ns:
                    if message.connection.is_latched:
                        self._publish(message)
                    continue
                pace.wait_until(message.time_ns)
                self._publish(message)
                progress.update(task, completed=message.time_ns - first_ns)

    def _tick(self, time_ns: int) -> None:
        if self._clock is not None and 0 <= time_ns < _END_NS:
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, 10**9)
            self._clock.publish(message)

    def _publish(self, message: RawMessage) -> None:
        """Publish a message; one that cannot be costs itself, and a line for its topic."""
        topic = message.connection.topic
        try:
            data = self._types.as_ros2(message).data
            if len(data) < _HEAD_BYTES:
                # With Fast DDS, an empty message takes the one that follows with it.
                msg = 'a message of fewer bytes than any has'
                raise InputError(msg)
            self._publishers[message.connection.id].publish(data)
            self.num_published += 1
        except Exception as error:  # of damaged bytes, in rclpy or in rosbags
            if not rclpy.ok():
                return  # interrupted between the look and the publication: no loss of the bag
            text = f'{topic}: {str(error)[:200]}'
            if not self._failed[text]:
                _logger.warning('%s', text)
            self._failed[text] += 1


def _remapping(text: str) -> tuple[str, str]:
    source, separator, target = text.partition(':=')
    if not separator or not source or not target:
        msg = f'--remap {text!r} is not FROM:=TO.'
        raise ConfigError(msg)
    return source, target
