# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The records of MCAP as bytes: their heads, a chunk's content, the summary."""

from collections.abc import Iterator
from io import BytesIO
import struct
from typing import Any
from typing import BinaryIO
import zlib

from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode

from hyperseg_ros.bags.chunks import Chunk
from hyperseg_ros.bags.compression import unpack
from hyperseg_ros.bags.connection import DamagedBagError

MAGIC = b'\x89MCAP0\r\n'
RECORD = struct.Struct('<BQ')
"""Opcode and length of a record."""
MESSAGE = struct.Struct('<HIQQ')
"""Channel, sequence, log time and publish time of a message, before its data."""
FOOTER = struct.Struct('<BQQQI8s')
"""The whole footer, with the magic behind it; its third value is the summary's place."""
_CHUNK = struct.Struct('<QQQI')
_MAX_RECORD_BYTES = 64 << 20
"""Of records that describe: channels, schemas, the index of a chunk."""


def summary_records(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, ReadDataStream]]:
    """Give the records between two places, whole.

    Raises:
        DamagedBagError: If one does not fit, or is larger than such records are.
    """
    position = start
    while position < end:
        file.seek(position)
        opcode, length = RECORD.unpack(file.read(RECORD.size))
        position += RECORD.size + length
        if position > end or length > _MAX_RECORD_BYTES:
            msg = f'a record of {length} bytes does not fit'
            raise DamagedBagError(msg)
        yield opcode, ReadDataStream(BytesIO(file.read(length)))


def is_sound(indexes: list[records.ChunkIndex], end: int) -> bool:
    """Tell whether chunks follow each other within the data."""
    position = len(MAGIC)
    for index in indexes:
        if index.chunk_start_offset < position:
            return False
        position = index.chunk_start_offset + index.chunk_length + index.message_index_length
    return position <= end


def chunk_content(file: BinaryIO, chunk: Chunk) -> memoryview:
    """Return the records of a chunk or run; fewer, where it is cut off.

    Raises:
        DamagedBagError: If there is no chunk, or it does not unpack to what it says.
    """
    file.seek(chunk.offset)
    if chunk.is_run:
        return memoryview(file.read(chunk.num_bytes))
    raw: Any = memoryview(file.read(chunk.num_bytes))
    try:
        opcode, length = RECORD.unpack_from(raw)
        _, _, size, crc = _CHUNK.unpack_from(raw, 9)
        (name_length,) = struct.unpack_from('<I', raw, 37)
        form = bytes(raw[41 : 41 + name_length]).decode()
        (packed_size,) = struct.unpack_from('<Q', raw, 41 + name_length)
    except (struct.error, UnicodeDecodeError) as err:
        msg = f'its head is damaged or cut off ({err})'
        raise DamagedBagError(msg) from err
    if opcode != Opcode.CHUNK:
        msg = 'there is no chunk'
        raise DamagedBagError(msg)
    begin = 49 + name_length
    packed = raw[begin : begin + packed_size]
    content = unpack(packed, form, size)
    is_whole = len(packed) == packed_size and length + RECORD.size <= len(raw)
    if is_whole and len(content) != size:
        msg = f'it unpacks to {len(content)} bytes instead of {size}'
        raise DamagedBagError(msg)
    if is_whole and crc and zlib.crc32(content) != crc:
        msg = 'its checksum does not fit'
        raise DamagedBagError(msg)
    return memoryview(content)


def record_at(content: memoryview, position: int) -> tuple[int, memoryview | None]:
    """Return a record's opcode and body; None where it is not whole."""
    if position + RECORD.size > len(content):
        return 0, None
    opcode, length = RECORD.unpack_from(content, position)
    begin = position + RECORD.size
    if opcode == 0 or length > len(content) - begin:
        return opcode, None
    return opcode, content[begin : begin + length]


def short_reason(err: Exception) -> str:
    """Say what an exception of damaged bytes is, in a few words."""
    return f'{type(err).__name__}: {err}'[:120]
