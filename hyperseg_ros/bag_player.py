# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`bag_player`: publishes a bag's messages as they are, where `ros2 bag` is not installed."""

import contextlib
from dataclasses import dataclass
import importlib
import importlib.util
import logging
from pathlib import Path
import select
import sys
import time
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rich.progress import BarColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rosbags.interfaces import Connection
from rosgraph_msgs.msg import Clock

from hyperseg_core import cli
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.bags import BagReader
from hyperseg_ros.bags import RawMessage
from hyperseg_ros.bags import open_bag
from hyperseg_ros.bags import read_messages
from hyperseg_ros.bags import ros2_type_name
from hyperseg_ros.process.leaving import leave_graph

_logger = logging.getLogger(__name__)
_CLOCK_HZ = 100.0
_MATCH_S, _SETTLE_S = 5.0, 1.2
"""With Fast DDS's `LARGE_DATA`, processes of one machine know each other after 2.7 to 3.3 s, and
messages arrive 0.7 to 0.9 s later (measured; with its default, at once)."""
_LAST_S, _LEAVE_S = 2.0, 0.2


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


def bag_play_command(
    bag: Path,
    rate: float = 1.0,
    loop: bool = False,
    start: float = 0.0,
    duration: float | None = None,
    topics: list[str] | None = None,
    remap: list[str] | None = None,
    clock: bool = False,
) -> int:
    """Publish a bag's messages with their own types and QoS; space pauses and resumes.

    Args:
        bag: A rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag.
        rate: Speed as a multiple of the recording's.
        loop: Start again at the end.
        start: Seconds into the bag to start at; latched topics are sent first all the same.
        duration: Seconds of the bag to play.
        topics: Topics to play; all by default.
        remap: Pairs FROM:=TO.
        clock: Publish /clock.
    """
    if rate <= 0:
        msg = f'--rate is {rate}, but must be above 0.'
        raise ConfigError(msg)
    options = PlayOptions(
        rate, loop, start, duration, tuple(topics) if topics else None, tuple(remap or ()), clock
    )
    if not rclpy.ok():
        rclpy.init()
    node = rclpy.create_node('bag_player')
    status = 1
    try:
        with open_bag(bag) as reader:
            player = BagPlayer(node, reader, options)
            with _keyboard():
                player.play()
        status = 0
    except KeyboardInterrupt:
        status = 130
        raise
    finally:
        leave_graph(node, status=status)
    return status


class BagPlayer:
    """Plays one bag on one node."""

    def __init__(self, node: Node, reader: BagReader, options: PlayOptions) -> None:
        """Create a publisher for every topic whose type is installed.

        Raises:
            InputError: If a topic asked for is not in the bag, or nothing can be played.
            ConfigError: If a remapping is no FROM:=TO.
        """
        self._reader, self._options = reader, options
        self._names = dict(_remapping(item) for item in options.remap)
        known = {connection.topic for connection in reader.connections}
        for topic in options.topics or ():
            if topic not in known:
                msg = f'No topic {topic!r} in the bag; it has: {", ".join(sorted(known))}.'
                raise InputError(msg)
        self._publishers: dict[int, Any] = {}
        self._connections: list[Connection] = []
        for connection in reader.connections:
            if options.topics is None or connection.topic in options.topics:
                self._add_publisher(node, connection)
        if not self._connections:
            msg = 'Nothing in the bag can be played.'
            raise InputError(msg)
        self._clock = node.create_publisher(Clock, '/clock', 10) if options.clock else None

    def _add_publisher(self, node: Node, connection: Connection) -> None:
        try:
            kind = message_class(connection.msgtype)
        except InputError as error:
            _logger.warning('%s is skipped: %s', connection.topic, error)
            return
        topic = self._names.get(connection.topic, connection.topic)
        self._publishers[connection.id] = node.create_publisher(kind, topic, qos_of(connection))
        self._connections.append(connection)

    def play(self) -> None:
        """Play to the end, or for ever."""
        self._wait_for_subscribers()
        while rclpy.ok():
            self._play_once()
            if not self._options.loop:
                self._wait_until_received()
                return

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
        options, begin_ns = self._options, self._reader.start_time
        first_ns = begin_ns + round(options.start * 1e9)
        last_ns = self._reader.end_time
        if options.duration is not None:
            last_ns = min(last_ns, first_ns + round(options.duration * 1e9))
        pace = _Pace(first_ns, options.rate, self._clock)
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            TextColumn('{task.percentage:.0f}%'),
        )
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task('playing', total=max(last_ns - first_ns, 1))
            for message in read_messages(self._reader, self._connections):
                if message.time_ns > last_ns:
                    return
                if message.time_ns < first_ns:
                    if _is_latched(message.connection):
                        self._publish(message)
                    continue
                pace.wait_until(message.time_ns)
                self._publish(message)
                progress.update(task, completed=message.time_ns - first_ns)

    def _publish(self, message: RawMessage) -> None:
        connection = message.connection
        if connection.id not in self._publishers:
            return
        try:
            data = self._reader.as_ros2(message).data
        except InputError as error:
            _logger.warning('%s is skipped from here on: %s', connection.topic, error)
            del self._publishers[connection.id]
            return
        self._publishers[connection.id].publish(data)


class _Pace:
    """Waits for each message's moment, keeps the clock, and pauses on the space key."""

    def __init__(self, first_ns: int, rate: float, clock: Any) -> None:
        self._first_ns, self._rate, self._clock = first_ns, rate, clock
        self._start_s = time.monotonic()
        self._tick(first_ns)

    def wait_until(self, time_ns: int) -> None:
        """Sleep until a message's moment."""
        while rclpy.ok():
            self._pause_on_space()
            due_s = self._start_s + (time_ns - self._first_ns) / 1e9 / self._rate
            left_s = due_s - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(left_s, 1 / _CLOCK_HZ))
            elapsed_s = time.monotonic() - self._start_s
            self._tick(min(self._first_ns + round(elapsed_s * self._rate * 1e9), time_ns))
        self._tick(time_ns)

    def _tick(self, time_ns: int) -> None:
        if self._clock is not None:
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, 10**9)
            self._clock.publish(message)

    def _pause_on_space(self) -> None:
        if not _is_space_pressed():
            return
        paused_s = time.monotonic()
        while rclpy.ok() and not _is_space_pressed():
            time.sleep(0.05)
        self._start_s += time.monotonic() - paused_s


def _is_space_pressed() -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        return False
    is_ready = select.select([sys.stdin], [], [], 0)[0]
    return bool(is_ready) and sys.stdin.read(1) == ' '


@contextlib.contextmanager
def _keyboard() -> Any:
    """Let single keys through while playing, where there is a terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _remapping(text: str) -> tuple[str, str]:
    source, separator, target = text.partition(':=')
    if not separator or not source or not target:
        msg = f'--remap {text!r} is not FROM:=TO.'
        raise ConfigError(msg)
    return source, target


def message_class(kind: str) -> Any:
    """Return the installed class of a message type, looking before importing.

    Raises:
        InputError: If it is no type's name, or is not installed.
    """
    package, _, name = ros2_type_name(kind).split('/')
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    # Only a package of messages is imported: a bag must not make us run anything else.
    modules = [Path(place) / 'msg' / '__init__.py' for place in places or ()]
    if not any(module.is_file() for module in modules):
        apt = package.replace('_', '-')
        msg = f'its type {kind} is not installed: apt install ros-$ROS_DISTRO-{apt}.'
        raise InputError(msg)
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as err:
        msg = f'package {package} has no message {name}.'
        raise InputError(msg) from err


def _is_latched(connection: Connection) -> bool:
    profiles = getattr(connection.ext, 'offered_qos_profiles', None)
    if profiles is None:
        return bool(getattr(connection.ext, 'latching', 0))
    return any(profile.durability.name == 'TRANSIENT_LOCAL' for profile in profiles)


def qos_of(connection: Connection) -> QoSProfile:
    """Return the QoS that a topic was recorded with; reliable where it is not known."""
    profiles = getattr(connection.ext, 'offered_qos_profiles', None) or []
    is_best_effort = any(p.reliability.name == 'BEST_EFFORT' for p in profiles)
    depth = max((p.depth for p in profiles), default=10)
    lifespan = [p.lifespan for p in profiles if 0 < p.lifespan.sec < 2**31 - 1]
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=max(depth, 1),
        reliability=(
            ReliabilityPolicy.BEST_EFFORT if is_best_effort else ReliabilityPolicy.RELIABLE
        ),
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL
            if _is_latched(connection)
            else DurabilityPolicy.VOLATILE
        ),
    )
    if lifespan:
        profile.lifespan = Duration(seconds=lifespan[0].sec, nanoseconds=lifespan[0].nsec)
    return profile


def main() -> None:
    """Run the command on its own: `ros2 run hyperseg_ros bag_player BAG`."""
    arguments = sys.argv[1:]
    if '--ros-args' in arguments:
        rclpy.init(args=sys.argv)
        arguments = arguments[: arguments.index('--ros-args')]
    commands: dict[str, Any] = {'play': ('Play a bag.', lambda: bag_play_command)}
    sys.exit(cli.run(['play', *arguments], commands))


if __name__ == '__main__':
    main()
