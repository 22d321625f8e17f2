# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a bag says of a topic, and a message as it lies in a bag; alike for every storage."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
import re
from typing import Any
from typing import NamedTuple
from typing import Protocol

from rosbags.interfaces import Qos
from rosbags.rosbag2.metadata import parse_qos
import yaml

from hyperseg_core.errors import InputError

CDR, ROS1 = 'cdr', 'ros1'
"""How messages are serialised that we read: ROS 2's way and ROS 1's."""
_MAX_QOS_CHARACTERS = 1 << 20
_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_DDS_TYPE = re.compile(r'([a-z]\w*)::msg::(?:dds_::)?(\w+?)_?')


class DamagedBagError(InputError):
    """A part of a bag that cannot be read."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A topic of one type; its publishers, files and channels taken together."""

    id: int
    topic: str
    msgtype: str
    """As `package/msg/Name`, however the bag spells it."""
    encoding: str
    """`cdr`, `ros1`, or what else its messages are."""
    definition: str
    """The text that describes the type; '' where there is none."""
    definition_form: str
    """`ros2msg`, `ros2idl`, `ros1msg` or ''."""
    digest: str
    """The type's hash by REP 2016, or ''."""
    msgcount: int
    """How many messages the bag promises."""
    profiles: tuple[Qos, ...] = ()
    is_latched: bool = False

    @property
    def can_be_read(self) -> bool:
        """Whether its messages are ROS messages."""
        return self.encoding in {CDR, ROS1}


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it lies in a bag."""

    connection: Connection
    time_ns: int
    """When it was recorded."""
    data: bytes


class StoredMessage(NamedTuple):
    """A message as it lies in a file: a channel has a number there."""

    time_ns: int
    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Channel:
    """What a file says of one channel."""

    topic: str
    msgtype: str
    encoding: str
    definition: str = ''
    definition_form: str = ''
    digest: str = ''
    count: int = 0
    """How many messages the file promises."""
    profiles: tuple[Qos, ...] = ()
    is_latched: bool = False


class Storage(Protocol):
    """One file of a bag."""

    channels: dict[int, Channel]
    start_ns: int
    """Log time of the first message."""
    end_ns: int
    """Log time of the last message."""
    problems: list[str]
    """What could not be read, a line each; grows while messages are read."""

    def messages(self, channels: AbstractSet[int]) -> Iterator[StoredMessage]:
        """Read messages of some channels in order of their log time; what is damaged is left."""

    def index(self) -> Iterator[bytes]:
        """Give what tells where the messages are; it differs where the messages do."""


def orphans(counts: Mapping[int, int], channels: Mapping[int, Channel]) -> list[str]:
    """Say in a line how many messages a file holds of channels that it does not describe."""
    lost = sum(count for key, count in counts.items() if key not in channels)
    return [f'{lost} messages belong to no topic that the file describes'] if lost else []


def type_name(kind: str) -> str:
    """Spell a message type as `package/msg/Name`; what is no such type stays as it is."""
    dds = _DDS_TYPE.fullmatch(kind)
    if dds is not None:
        return f'{dds[1]}/msg/{dds[2]}'
    try:
        return ros2_type_name(kind)
    except InputError:
        return kind


def ros2_type_name(kind: str) -> str:
    """Check a type's name from a bag and return it as `package/msg/Name`.

    Raises:
        InputError: If it is no such name.
    """
    match = re.fullmatch(r'([a-z][a-z0-9_]*)/(?:msg/)?([A-Z][A-Za-z0-9]*)', kind)
    if match is None:
        msg = f'{kind[:200]!r} is no message type.'
        raise InputError(msg)
    return f'{match[1]}/msg/{match[2]}'


def read_profiles(written: Any) -> tuple[Qos, ...]:
    """Read QoS profiles, as YAML or plain data; those that are damaged are left out."""
    if isinstance(written, str):
        try:
            written = yaml.load(written[:_MAX_QOS_CHARACTERS], _LOADER)
        except (yaml.YAMLError, RecursionError, ValueError):
            return ()
    found: list[Qos] = []
    for item in written if isinstance(written, list) else ():
        try:
            found += parse_qos([item])
        except Exception:
            continue
    return tuple(profile for profile in found if _is_sound(profile))


def _is_sound(profile: Qos) -> bool:
    times = (profile.deadline, profile.lifespan, profile.liveliness_lease_duration)
    numbers = [profile.depth, *(value for time in times for value in time)]
    return all(isinstance(value, int) and 0 <= value < 2**63 for value in numbers)


def is_latched(profiles: tuple[Qos, ...]) -> bool:
    """Tell whether late subscribers get a topic's last messages."""
    return any(profile.durability.name == 'TRANSIENT_LOCAL' for profile in profiles)
