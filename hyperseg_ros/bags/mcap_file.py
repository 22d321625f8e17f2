# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One MCAP file, whole or not: what its index does not tell is found by walking the records.

The records are read with the `mcap` package. Its readers are not used, as they end where a file is
damaged, and hold all of a file without index in memory.
"""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from io import BytesIO
from pathlib import Path
import struct
from typing import BinaryIO

from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode

from hyperseg_ros.bags.chunks import MAX_MESSAGES
from hyperseg_ros.bags.chunks import Chunk
from hyperseg_ros.bags.chunks import ChunkedFile
from hyperseg_ros.bags.chunks import examined
from hyperseg_ros.bags.chunks import too_many
from hyperseg_ros.bags.connection import CDR
from hyperseg_ros.bags.connection import Channel
from hyperseg_ros.bags.connection import DamagedBagError
from hyperseg_ros.bags.connection import is_latched
from hyperseg_ros.bags.connection import orphans
from hyperseg_ros.bags.connection import read_profiles
from hyperseg_ros.bags.connection import type_name
from hyperseg_ros.bags.mcap_records import FOOTER
from hyperseg_ros.bags.mcap_records import MAGIC
from hyperseg_ros.bags.mcap_records import MESSAGE
from hyperseg_ros.bags.mcap_records import RECORD
from hyperseg_ros.bags.mcap_records import chunk_content
from hyperseg_ros.bags.mcap_records import is_sound
from hyperseg_ros.bags.mcap_records import record_at
from hyperseg_ros.bags.mcap_records import short_reason
from hyperseg_ros.bags.mcap_records import summary_records

_RUN_BYTES = 4 << 20
_FORMS = {'ros2msg': 'ros2msg', 'ros2idl': 'ros2idl', 'omgidl': 'ros2idl', 'ros1msg': 'ros1msg'}


class McapFile(ChunkedFile):
    """Reads an MCAP file."""

    def __init__(self, path: Path) -> None:
        """Read the summary, and walk what it does not cover.

        Raises:
            OSError: If the file cannot be read.
        """
        super().__init__(path)
        self._schemas: dict[int, records.Schema] = {}
        self._channels: dict[int, records.Channel] = {}
        with path.open('rb') as file:
            size = file.seek(0, 2)
            indexes, statistics, end = self._read_summary(file, size)
            told = {channel for index in indexes for channel in index.message_index_offsets}
            is_known = statistics is not None and bool(self._channels)
            is_known = is_known and told <= self._channels.keys()
            position = len(MAGIC)
            for index in indexes:
                self._walk(file, position, index.chunk_start_offset)
                position = index.chunk_start_offset + index.chunk_length
                position += index.message_index_length
                channels = frozenset(index.message_index_offsets) or None
                self._chunks.append(
                    Chunk(
                        index.chunk_start_offset, index.chunk_length, index.message_start_time,
                        index.message_end_time, channels if is_known else None,
                    )
                )  # fmt: skip
            self._walk(file, position, end)
            if statistics is not None and is_known:
                self._counts = Counter(statistics.channel_message_counts)
            else:
                self._examine_chunks(file)
        self.start_ns = min((c.start_ns for c in self._chunks), default=0)
        self.end_ns = max((c.end_ns for c in self._chunks), default=0)
        self.channels = {key: self._describe(item) for key, item in self._channels.items()}
        self.problems += orphans(self._counts, self.channels)

    def index(self) -> Iterator[bytes]:
        """Give the places and times of the chunks."""
        for chunk in self._chunks:
            yield f'{chunk.offset} {chunk.num_bytes} {chunk.start_ns} {chunk.end_ns}\n'.encode()

    def _read_summary(
        self, file: BinaryIO, size: int
    ) -> tuple[list[records.ChunkIndex], records.Statistics | None, int]:
        """Return the chunks' index, the statistics, and where the data end."""
        start = self._summary_start(file, size)
        if start is None:
            self._note(
                'the file has no footer: its recorder was cut off; what is whole in it is read'
            )
            return [], None, size
        if start == 0:
            return [], None, size - FOOTER.size
        indexes: list[records.ChunkIndex] = []
        statistics = None
        try:
            for opcode, stream in summary_records(file, start, size - FOOTER.size):
                if opcode == Opcode.CHUNK_INDEX:
                    indexes.append(records.ChunkIndex.read(stream))
                elif opcode == Opcode.STATISTICS:
                    statistics = records.Statistics.read(stream)
                else:
                    self._learn(opcode, stream)
        except Exception as err:  # damaged records make struct, UTF-8 and mcap raise
            self._note(
                f'its summary is damaged ({short_reason(err)}); the records are read instead'
            )
            return [], None, start
        indexes.sort(key=lambda index: index.chunk_start_offset)
        if not is_sound(indexes, start):
            self._note('its index is damaged; the records are read instead')
            return [], None, start
        return indexes, statistics, start

    @staticmethod
    def _summary_start(file: BinaryIO, size: int) -> int | None:
        if size < len(MAGIC) + FOOTER.size:
            return None
        file.seek(size - FOOTER.size)
        opcode, length, start, _, _, magic = FOOTER.unpack(file.read(FOOTER.size))
        is_footer = (opcode, length, magic) == (Opcode.FOOTER, 20, MAGIC)
        return start if is_footer and start < size else None

    def _learn(self, opcode: int, stream: ReadDataStream) -> None:
        """Remember a channel or a schema, wherever it stands."""
        if opcode == Opcode.SCHEMA:
            schema = records.Schema.read(stream)
            self._schemas.setdefault(schema.id, schema)
        elif opcode == Opcode.CHANNEL:
            channel = records.Channel.read(stream)
            self._channels.setdefault(channel.id, channel)

    def _walk(self, file: BinaryIO, start: int, end: int) -> None:
        """Find chunks and messages in a part of the file that no index covers."""
        position, run = start, None
        while position < end:
            file.seek(position)
            head = file.read(RECORD.size)
            opcode, length = RECORD.unpack(head) if len(head) == RECORD.size else (0, 0)
            stop = position + RECORD.size + length
            if opcode == 0 or (stop > end and opcode != Opcode.CHUNK):
                self._note(f'the file is cut off or damaged at byte {position} of {end}')
                return
            if opcode in {Opcode.DATA_END, Opcode.FOOTER}:
                return
            if opcode == Opcode.CHUNK:
                times = file.read(16)
                first, last = struct.unpack('<QQ', times) if len(times) == 16 else (0, 0)
                self._chunks.append(Chunk(position, min(stop, end) - position, first, last))
                if stop > end:
                    self._note(f'the chunk at byte {position} is cut off')
                run = None
            elif opcode == Opcode.MESSAGE and length >= MESSAGE.size:
                channel, _, time_ns, _ = MESSAGE.unpack(file.read(MESSAGE.size))
                if run is None or stop - run.offset > _RUN_BYTES:
                    run = Chunk(position, 0, time_ns, time_ns, frozenset(), is_run=True)
                    self._chunks.append(run)
                run.num_bytes = stop - run.offset
                run.start_ns, run.end_ns = min(run.start_ns, time_ns), max(run.end_ns, time_ns)
                run.channels = (run.channels or frozenset()) | {channel}
            elif opcode in {Opcode.SCHEMA, Opcode.CHANNEL}:
                self._learn_safely(opcode, file.read(length), position)
            position = stop

    def _learn_safely(self, opcode: int, body: bytes | memoryview, position: int) -> None:
        try:
            self._learn(opcode, ReadDataStream(BytesIO(body)))
        except Exception as err:  # as in the summary
            self._note(f'a record at byte {position} is damaged ({short_reason(err)})')

    def _examine_chunks(self, file: BinaryIO) -> None:
        """Read everything once, to learn channels, times and counts."""
        for chunk in self._chunks:
            self._counts += examined(chunk, self._load(file, chunk, None))

    def _load(
        self, file: BinaryIO, chunk: Chunk, channels: AbstractSet[int] | None
    ) -> Iterator[tuple[int, int, memoryview]]:
        """Give a chunk's messages; all that are whole, if it is damaged."""
        try:
            content = chunk_content(file, chunk)
        except DamagedBagError as error:
            self._note(f'the chunk at byte {chunk.offset} cannot be read: {error}')
            return
        position = num_messages = 0
        while position < len(content):
            opcode, body = record_at(content, position)
            if body is None:
                self._note(
                    f'the chunk at byte {chunk.offset} is damaged or cut off after {position} of '
                    f'its bytes'
                )
                return
            if opcode == Opcode.MESSAGE and len(body) >= MESSAGE.size:
                num_messages += 1
                if num_messages > MAX_MESSAGES:
                    self._note(too_many(chunk))
                    return
                channel, _, time_ns, _ = MESSAGE.unpack_from(body)
                if channels is None or channel in channels:
                    yield time_ns, channel, body[MESSAGE.size :]
            elif channels is None and opcode in {Opcode.SCHEMA, Opcode.CHANNEL}:
                self._learn_safely(opcode, body, chunk.offset)
            position += RECORD.size + len(body)

    def _describe(self, channel: records.Channel) -> Channel:
        schema = self._schemas.get(channel.schema_id)
        form = _FORMS.get(schema.encoding, '') if schema is not None else ''
        text = schema.data.decode(errors='replace') if schema is not None and form else ''
        profiles = read_profiles(channel.metadata.get('offered_qos_profiles', ''))
        encoding = channel.message_encoding or (CDR if form in {'ros2msg', 'ros2idl'} else '')
        return Channel(
            channel.topic, type_name(schema.name) if schema is not None else '', encoding, text,
            form, channel.metadata.get('topic_type_hash', ''), self._counts[channel.id],
            profiles, is_latched(profiles) or channel.metadata.get('latching') == '1',
        )  # fmt: skip
