# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One ROS 1 bag (format 2.0), whole or as a killed recorder left it: without index.

rosbags' reader is not used, as it refuses bags without index and ends where one is damaged.
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
import struct
from typing import BinaryIO

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.chunks import Chunk
from hyperseg_ros.bags.chunks import chosen_chunks
from hyperseg_ros.bags.chunks import in_time_order
from hyperseg_ros.bags.compression import unpack
from hyperseg_ros.bags.connection import ROS1
from hyperseg_ros.bags.connection import Channel
from hyperseg_ros.bags.connection import DamagedBagError
from hyperseg_ros.bags.connection import StoredMessage
from hyperseg_ros.bags.connection import type_name

MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = range(2, 8)
_RUN_BYTES = 4 << 20
_MAX_HEADER_BYTES = 16 << 20
Header = dict[str, bytes]


class Ros1File:
    """Reads a .bag file."""

    def __init__(self, path: Path) -> None:
        """Read the index, or walk the records where there is none.

        Raises:
            InputError: If the bag is encrypted.
            OSError: If the file cannot be read.
        """
        self.path = path
        self.problems: list[str] = []
        self.channels: dict[int, Channel] = {}
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []
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

    def messages(self, channels: AbstractSet[int]) -> Iterator[StoredMessage]:
        """Read messages of some channels in order of their log time; what is damaged is left."""
        with self.path.open('rb') as file:
            chosen = chosen_chunks(self._chunks, channels)
            yield from in_time_order(chosen, lambda chunk: self._load(file, chunk, channels))

    def index(self) -> Iterator[bytes]:
        """Give the places and times of the chunks."""
        for chunk in self._chunks:
            yield f'{chunk.offset} {chunk.start_ns} {chunk.end_ns}\n'.encode()

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _read_index(self, file: BinaryIO, size: int) -> bool:
        """Read connections and chunks from the index; tell whether there is a whole one."""
        file.seek(len(MAGIC))
        try:
            header, _ = _read_head(file, size)
            if header.get('encryptor'):
                msg = f'{self.path} is encrypted; bags of that kind are not read.'
                raise InputError(msg)
            position = _number(header, 'index_pos', '<Q')
            if position == 0:
                self._note('the bag has no index: its recorder was cut off; what is whole is read')
                return False
            file.seek(position)
            for _ in range(_number(header, 'conn_count')):
                self._add_connection(*_read_record(file, size))
            for _ in range(_number(header, 'chunk_count')):
                self._add_chunk(*_read_record(file, size))
        except DamagedBagError as error:
            self._note(f'the index is damaged ({error}); the records are read instead')
            self.channels.clear()
            self._chunks.clear()
            self._counts.clear()
            return False
        return True

    def _add_connection(self, header: Header, body: bytes | memoryview) -> None:
        if _operation(header) != _CONNECTION:
            msg = 'a connection is missing'
            raise DamagedBagError(msg)
        number = _number(header, 'conn')
        told = _fields(body)
        topic = told.get('topic', header.get('topic', b''))
        # The name under which it was recorded, without doubled slashes.
        name = _text(header.get('topic', topic))
        name = '/' * name.startswith('/') + '/'.join(part for part in name.split('/') if part)
        self.channels.setdefault(
            number,
            Channel(
                name, type_name(_text(told.get('type', b''))), ROS1,
                _text(told.get('message_definition', b'')),
                is_latched=told.get('latching', b'') == b'1',
            ),
        )  # fmt: skip

    def _add_chunk(self, header: Header, body: bytes | memoryview) -> None:
        count = _number(header, 'count') if _operation(header) == _CHUNK_INFO else -1
        if count < 0 or len(body) < 8 * count:
            msg = 'a chunk is missing'
            raise DamagedBagError(msg)
        pairs = list(struct.iter_unpack('<II', body[: 8 * count]))
        for channel, number in pairs:
            self._counts[channel] += number
        times = [_time_ns(header, name) if count else 0 for name in ('start_time', 'end_time')]
        channels = frozenset(channel for channel, _ in pairs)
        position = _number(header, 'chunk_pos', '<Q')
        self._chunks.append(Chunk(position, 0, times[0], times[1], channels))

    def _walk(self, file: BinaryIO, size: int) -> None:
        """Find the chunks, and what lies outside of them where one was never finished."""
        position, run = len(MAGIC), None
        while position < size:
            file.seek(position)
            try:
                header, length = _read_head(file, size, may_be_cut=True)
                operation = _operation(header)
            except DamagedBagError as error:
                self._note(f'the file is cut off or damaged at byte {position}: {error}')
                return
            stop = file.tell() + length
            if operation == _CHUNK and length:
                self._chunks.append(Chunk(position, 0))
                run = None
            elif operation in {_MESSAGE, _CONNECTION}:
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
        found = list(self._load(file, chunk, None))
        self._counts.update(channel for _, channel, _ in found)
        chunk.channels = frozenset(channel for _, channel, _ in found)
        times = [time_ns for time_ns, _, _ in found]
        chunk.start_ns, chunk.end_ns = min(times, default=0), max(times, default=0)

    def _load(
        self, file: BinaryIO, chunk: Chunk, channels: AbstractSet[int] | None
    ) -> Iterator[tuple[int, int, memoryview]]:
        """Give a chunk's messages; all that are whole, if it is damaged."""
        position = 0
        try:
            content = _content(file, chunk)
            while position < len(content):
                header, body, position = _record_at(content, position)
                operation = _operation(header)
                if operation == _MESSAGE:
                    channel = _number(header, 'conn')
                    if channels is None or channel in channels:
                        yield _time_ns(header, 'time'), channel, body
                elif operation == _CONNECTION and channels is None:
                    self._add_connection(header, body)
        except DamagedBagError as error:
            self._note(f'the chunk at byte {chunk.offset} is damaged after {position}: {error}')


def _content(file: BinaryIO, chunk: Chunk) -> memoryview:
    """Return the records of a chunk or run; fewer, where it is cut off."""
    size = file.seek(0, 2)
    file.seek(chunk.offset)
    if chunk.is_run:
        return memoryview(file.read(chunk.num_bytes))
    header, length = _read_head(file, size, may_be_cut=True)
    if _operation(header) != _CHUNK:
        msg = 'there is no chunk'
        raise DamagedBagError(msg)
    unpacked_size = _number(header, 'size')
    form = _text(header.get('compression', b''))
    return memoryview(unpack(file.read(min(length, size - file.tell())), form, unpacked_size))


def _read_head(file: BinaryIO, size: int, *, may_be_cut: bool = False) -> tuple[Header, int]:
    """Read a record's header, and how many bytes of data follow."""
    header = _fields(_read(file, _length(file, size), size))
    length = _length(file, size, may_be_cut=may_be_cut)
    return header, length


def _read_record(file: BinaryIO, size: int) -> tuple[Header, bytes]:
    header, length = _read_head(file, size)
    return header, _read(file, length, size)


def _length(file: BinaryIO, size: int, *, may_be_cut: bool = False) -> int:
    data = file.read(4)
    length = int.from_bytes(data, 'little')
    if len(data) < 4 or (file.tell() + length > size and not may_be_cut):
        msg = 'a record does not fit into the file'
        raise DamagedBagError(msg)
    return length


def _read(file: BinaryIO, length: int, size: int) -> bytes:
    if length > min(size, _MAX_HEADER_BYTES):
        msg = f'a header of {length} bytes'
        raise DamagedBagError(msg)
    return file.read(length)


def _record_at(content: memoryview, position: int) -> tuple[Header, memoryview, int]:
    """Return the record at a position, and where the next one begins."""
    header, position = _sized(content, position)
    body, position = _sized(content, position)
    return _fields(header), body, position


def _sized(content: memoryview, position: int) -> tuple[memoryview, int]:
    begin = position + 4
    end = begin + int.from_bytes(content[position:begin], 'little')
    if begin > len(content) or end > len(content):
        msg = 'a record is cut off'
        raise DamagedBagError(msg)
    return content[begin:end], end


def _fields(data: bytes | memoryview) -> Header:
    """Read `name=value` fields, each after its length."""
    view, position, found = memoryview(data), 0, Header()
    while position < len(view):
        field, position = _sized(view, position)
        name, separator, value = bytes(field).partition(b'=')
        if not separator:
            msg = 'a header has a field without value'
            raise DamagedBagError(msg)
        found[name.decode(errors='replace')] = value
    return found


def _number(header: Header, name: str, form: str = '<I') -> int:
    try:
        return int(struct.unpack(form, header[name])[0])
    except (KeyError, struct.error) as err:
        msg = f'a header has no whole {name!r}'
        raise DamagedBagError(msg) from err


def _operation(header: Header) -> int:
    return _number(header, 'op', '<B')


def _time_ns(header: Header, name: str) -> int:
    value = header.get(name, b'')
    if len(value) != 8:
        msg = f'a header has no whole {name!r}'
        raise DamagedBagError(msg)
    seconds, nanoseconds = struct.unpack('<II', value)
    return int(seconds) * 10**9 + int(nanoseconds)


def _text(value: bytes) -> str:
    return value.decode(errors='replace')
