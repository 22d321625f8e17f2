# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One ROS 1 bag (format 2.0), whole or as a killed recorder left it: without index.

rosbags' reader is not used, as it refuses bags without index and ends where one is damaged.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
import struct
from typing import BinaryIO

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.chunks import MAX_MESSAGES
from hyperseg_ros.bags.chunks import Chunk
from hyperseg_ros.bags.chunks import ChunkedFile
from hyperseg_ros.bags.chunks import examined
from hyperseg_ros.bags.chunks import too_many
from hyperseg_ros.bags.connection import ROS1
from hyperseg_ros.bags.connection import Channel
from hyperseg_ros.bags.connection import DamagedBagError
from hyperseg_ros.bags.connection import orphans
from hyperseg_ros.bags.connection import type_name
from hyperseg_ros.bags.ros1_records import MAGIC
from hyperseg_ros.bags.ros1_records import Header
from hyperseg_ros.bags.ros1_records import Operation
from hyperseg_ros.bags.ros1_records import chunk_content
from hyperseg_ros.bags.ros1_records import decoded
from hyperseg_ros.bags.ros1_records import header_fields
from hyperseg_ros.bags.ros1_records import number_in
from hyperseg_ros.bags.ros1_records import operation_of
from hyperseg_ros.bags.ros1_records import read_head
from hyperseg_ros.bags.ros1_records import read_record
from hyperseg_ros.bags.ros1_records import record_at
from hyperseg_ros.bags.ros1_records import seek
from hyperseg_ros.bags.ros1_records import time_in

_RUN_BYTES = 4 << 20


class Ros1File(ChunkedFile):
    """Reads a .bag file."""

    def __init__(self, path: Path) -> None:
        """Read the index, or walk the records where there is none.

        Raises:
            InputError: If the bag is encrypted.
            OSError: If the file cannot be read.
        """
        super().__init__(path)
        self.channels: dict[int, Channel] = {}
        with path.open('rb') as file:
            size = file.seek(0, 2)
            if not self._read_index(file, size):
                self._walk(file, size)
                for chunk in self._chunks:
                    self._examine(file, chunk)
        self.start_ns = min((c.start_ns for c in self._chunks), default=0)
        self.end_ns = max((c.end_ns for c in self._chunks), default=0)
        for key, channel in self.channels.items():
            self.channels[key] = Channel(
                channel.topic, channel.msgtype, ROS1, channel.definition, 'ros1msg', '',
                self._counts[key], (), channel.is_latched,
            )  # fmt: skip
        self.problems += orphans(self._counts, self.channels)

    def index(self) -> Iterator[bytes]:
        """Give the places and times of the chunks."""
        for chunk in self._chunks:
            yield f'{chunk.offset} {chunk.start_ns} {chunk.end_ns}\n'.encode()

    def _read_index(self, file: BinaryIO, size: int) -> bool:
        """Read connections and chunks from the index; tell whether there is a whole one."""
        file.seek(len(MAGIC))
        try:
            header, _ = read_head(file, size)
            if header.get('encryptor'):
                msg = f'{self.path} is encrypted; bags of that kind are not read.'
                raise InputError(msg)
            position = number_in(header, 'index_pos', '<Q')
            if position == 0:
                self._note('the bag has no index: its recorder was cut off; what is whole is read')
                return False
            seek(file, position, size)
            for _ in range(number_in(header, 'conn_count')):
                self._add_connection(*read_record(file, size))
            for _ in range(number_in(header, 'chunk_count')):
                self._add_chunk(*read_record(file, size))
        except DamagedBagError as error:
            self._note(f'the index is damaged ({error}); the records are read instead')
            self.channels.clear()
            self._chunks.clear()
            self._counts.clear()
            return False
        return True

    def _add_connection(self, header: Header, body: bytes | memoryview) -> None:
        if operation_of(header) != Operation.CONNECTION:
            msg = 'a connection is missing'
            raise DamagedBagError(msg)
        number = number_in(header, 'conn')
        told = header_fields(body)
        topic = told.get('topic', header.get('topic', b''))
        # The name under which it was recorded, without doubled slashes.
        name = decoded(header.get('topic', topic))
        name = '/' * name.startswith('/') + '/'.join(part for part in name.split('/') if part)
        self.channels.setdefault(
            number,
            Channel(
                name, type_name(decoded(told.get('type', b''))), ROS1,
                decoded(told.get('message_definition', b'')),
                is_latched=told.get('latching', b'') == b'1',
            ),
        )  # fmt: skip

    def _add_chunk(self, header: Header, body: bytes | memoryview) -> None:
        count = number_in(header, 'count') if operation_of(header) == Operation.CHUNK_INFO else -1
        if count < 0 or len(body) < 8 * count:
            msg = 'a chunk is missing'
            raise DamagedBagError(msg)
        pairs = list(struct.iter_unpack('<II', body[: 8 * count]))
        for channel, number in pairs:
            self._counts[channel] += number
        times = [time_in(header, name) if count else 0 for name in ('start_time', 'end_time')]
        channels = frozenset(channel for channel, _ in pairs)
        position = number_in(header, 'chunk_pos', '<Q')
        self._chunks.append(Chunk(position, 0, times[0], times[1], channels))

    def _walk(self, file: BinaryIO, size: int) -> None:
        """Find the chunks, and what lies outside of them where one was never finished."""
        position, run = len(MAGIC), None
        while position < size:
            file.seek(position)
            try:
                header, length = read_head(file, size, may_be_cut=True)
                operation = operation_of(header)
            except DamagedBagError as error:
                self._note(f'the file is cut off or damaged at byte {position}: {error}')
                return
            stop = file.tell() + length
            if operation == Operation.CHUNK and length:
                self._chunks.append(Chunk(position, 0))
                run = None
            elif operation in {Operation.MESSAGE, Operation.CONNECTION}:
                if run is None or stop - run.offset > _RUN_BYTES:
                    run = Chunk(position, 0, is_run=True)
                    self._chunks.append(run)
                run.num_bytes = min(stop, size) - run.offset
            if stop > size:
                self._note(f'the file is cut off at byte {size}')
                return
            position = stop

    def _examine(self, file: BinaryIO, chunk: Chunk) -> None:
        """Read a chunk once, to learn connections, times and counts."""
        self._counts += examined(chunk, self._load(file, chunk, None))

    def _load(
        self, file: BinaryIO, chunk: Chunk, channels: AbstractSet[int] | None
    ) -> Iterator[tuple[int, int, memoryview]]:
        """Give a chunk's messages; all that are whole, if it is damaged."""
        position = num_messages = 0
        try:
            content = chunk_content(file, chunk)
            while position < len(content):
                header, body, position = record_at(content, position)
                operation = operation_of(header)
                if operation == Operation.MESSAGE:
                    num_messages += 1
                    if num_messages > MAX_MESSAGES:
                        self._note(too_many(chunk))
                        return
                    channel = number_in(header, 'conn')
                    if channels is None or channel in channels:
                        yield time_in(header, 'time'), channel, body
                elif operation == Operation.CONNECTION and channels is None:
                    self._add_connection(header, body)
        except DamagedBagError as error:
            self._note(f'the chunk at byte {chunk.offset} is damaged after {position}: {error}')
