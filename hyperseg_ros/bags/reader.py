# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading bags: folders, single files, of ROS 2 and ROS 1, whole or as a crash left them.

The bytes of its files say what lies in a bag, not their names. Every message that is
read is counted, so that what a bag promises and does not hold can be reported.
"""

from collections import Counter
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
from dataclasses import replace
import heapq
from pathlib import Path
import struct
import tempfile

from rosbags.interfaces import Qos

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.compression import ZSTD_MAGIC
from hyperseg_ros.bags.compression import unpack
from hyperseg_ros.bags.connection import CDR
from hyperseg_ros.bags.connection import Channel
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import DamagedBagError
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.connection import Storage
from hyperseg_ros.bags.connection import StoredMessage
from hyperseg_ros.bags.connection import is_latched
from hyperseg_ros.bags.metadata import METADATA
from hyperseg_ros.bags.metadata import BagMetadata
from hyperseg_ros.bags.metadata import TopicMetadata
from hyperseg_ros.bags.metadata import read_metadata
from hyperseg_ros.bags.opening import files_of
from hyperseg_ros.bags.opening import open_file


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages that a bag promises and that were not read."""

    connection: Connection
    read: int

    def __str__(self) -> str:
        """Say it in a line."""
        promised = self.connection.msgcount
        return (
            f'{self.connection.topic}: {promised - self.read} of {promised} messages that the bag '
            f'promises could not be read'
        )


class BagReader:
    """An open bag; see `open_bag`."""

    def __init__(self, storages: list[Storage], metadata: BagMetadata) -> None:
        """Take the files' channels together: a topic of one type is one connection."""
        self._storages = storages
        self._metadata = metadata
        self._problems: list[str] = []
        self._connections: dict[tuple[str, str, str], Connection] = {}
        for storage in storages:
            for channel in storage.channels.values():
                self._add(channel)
        known = {key[:2] for key in self._connections}
        for name, kind in metadata.topics.keys() - known:
            self._add(Channel(name, kind, CDR))
        for key, item in self._connections.items():
            told = metadata.topics.get(key[:2])
            if told is not None:
                self._connections[key] = _with_metadata(item, told)
        self._read: Counter[int] = Counter()
        times = [s for s in storages if s.end_ns]
        self.start_time = min((s.start_ns for s in times), default=0)
        """Log time of the first message [ns]."""
        self.end_time = max((s.end_ns for s in times), default=0)
        """Log time of the last message [ns]."""

    def _add(self, channel: Channel) -> None:
        key = (channel.topic, channel.msgtype, channel.encoding)
        known = self._connections.get(key)
        if known is None:
            self._connections[key] = Connection(
                len(self._connections) + 1, *key, channel.definition, channel.definition_form,
                channel.digest, channel.count, channel.profiles, channel.is_latched,
            )  # fmt: skip
            return
        self._connections[key] = replace(
            known,
            definition=known.definition or channel.definition,
            definition_form=known.definition_form or channel.definition_form,
            digest=known.digest or channel.digest,
            msgcount=known.msgcount + channel.count,
            profiles=known.profiles + _more(channel.profiles, known.profiles),
            is_latched=known.is_latched or channel.is_latched,
        )

    @property
    def connections(self) -> list[Connection]:
        """The topics, with their types."""
        return list(self._connections.values())

    @property
    def problems(self) -> list[str]:
        """What could not be read so far, a line each."""
        found = [problem for storage in self._storages for problem in storage.problems]
        return list(dict.fromkeys([*self._metadata.problems, *found, *self._problems]))

    def messages(self, connections: list[Connection]) -> Iterator[RawMessage]:
        """Read messages of some connections in order of their log time.

        What is damaged is left out: `problems` and `gaps` tell of it.
        """
        wanted = {item.id: item for item in connections}
        read: Counter[int] = Counter()
        for connection, message in self._merged(wanted):
            data = message.data
            if data[:4] == ZSTD_MAGIC and connection.encoding == CDR:
                try:
                    data = bytes(unpack(data, 'zstd'))
                except DamagedBagError as error:
                    self._problems.append(
                        f'{connection.topic} at {message.time_ns} ns: the message cannot be '
                        f'unpacked: {error}'
                    )
                    continue
            read[connection.id] += 1
            yield RawMessage(connection, message.time_ns, data)
        for number in wanted:
            self._read[number] = read[number]

    def _merged(self, wanted: dict[int, Connection]) -> Iterator[tuple[Connection, StoredMessage]]:
        """Merge the files by time; a file is begun when its time has come."""
        waiting = sorted(enumerate(self._storages), key=lambda item: item[1].start_ns)
        waiting.reverse()
        heap: list[tuple[int, int, StoredMessage, Iterator[StoredMessage]]] = []
        channels: dict[int, dict[int, Connection]] = {}
        while waiting or heap:
            if waiting and (not heap or waiting[-1][1].start_ns <= heap[0][0]):
                number, storage = waiting.pop()
                keys = {
                    key: self._connections[item.topic, item.msgtype, item.encoding]
                    for key, item in storage.channels.items()
                }
                channels[number] = {k: wanted[c.id] for k, c in keys.items() if c.id in wanted}
                stored = storage.messages(channels[number].keys()) if channels[number] else None
            else:
                _, number, message, stored = heapq.heappop(heap)
                yield channels[number][message.channel], message
            following = self._next(stored) if stored is not None else None
            if stored is not None and following is not None:
                heapq.heappush(heap, (following.time_ns, number, following, stored))

    def _next(self, stored: Iterator[StoredMessage]) -> StoredMessage | None:
        try:
            return next(stored, None)
        except (struct.error, IndexError, ValueError, MemoryError) as err:
            self._problems.append(f'a file is damaged ({type(err).__name__}: {str(err)[:200]})')
            return None

    def gaps(self, connections: list[Connection]) -> list[Gap]:
        """Compare what was read to the end with what the bag promises."""
        return [
            Gap(item, self._read[item.id])
            for item in connections
            if item.id in self._read and self._read[item.id] < item.msgcount
        ]

    def num_read(self, connection: Connection) -> int:
        """Return how many messages were read, of what was read to the end."""
        return self._read[connection.id]

    def index(self) -> Iterator[bytes]:
        """Give what tells where the messages are; it differs where the messages do."""
        for storage in self._storages:
            yield from storage.index()


def _with_metadata(connection: Connection, told: TopicMetadata) -> Connection:
    """Take from metadata.yaml what the files do not say; of two counts the larger is promised."""
    profiles = connection.profiles or told.profiles
    return replace(
        connection,
        msgcount=max(connection.msgcount, told.count),
        profiles=profiles,
        digest=connection.digest or told.digest,
        is_latched=connection.is_latched or is_latched(profiles),
    )


def _more(profiles: tuple[Qos, ...], known: tuple[Qos, ...]) -> tuple[Qos, ...]:
    """Return the profiles of another publisher; those of a following file are the same."""
    return profiles if profiles != known else ()


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[BagReader]:
    """Open a rosbag2 folder, a single file of one (also of zstd), or a ROS 1 bag.

    Raises:
        InputError: If it is none of them, or is too damaged to be opened.
        FileNotFoundError: If it is not there.
    """
    if not path.exists():
        msg = f'No bag at {path}.'
        raise FileNotFoundError(msg)
    metadata = BagMetadata()
    files = [path]
    if path.is_dir():
        has_metadata = (path / METADATA).is_file()
        metadata = read_metadata(path) if has_metadata else metadata
        files = files_of(path, metadata, has_metadata=has_metadata)
    with tempfile.TemporaryDirectory(prefix='hyperseg_') as folder:
        storages: list[Storage] = []
        failures: list[InputError] = []
        for file in files:
            try:
                storages.append(open_file(file, folder))
            except InputError as error:
                failures.append(error)
        if not storages:
            raise failures[0]
        metadata.problems += [str(error) for error in failures]
        yield BagReader(storages, metadata)


def read_messages(reader: BagReader, connections: list[Connection]) -> Iterator[RawMessage]:
    """Read messages of some connections in order of their log time."""
    return reader.messages(connections) if connections else iter(())
