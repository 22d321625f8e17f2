# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The records of ROS 1 bags (format 2.0) as bytes: each a header of fields, and data."""

from enum import IntEnum
import struct
from typing import BinaryIO

from hyperseg_ros.bags.chunks import Chunk
from hyperseg_ros.bags.compression import unpack
from hyperseg_ros.bags.connection import DamagedBagError

MAGIC = b'#ROSBAG V2.0\n'
_MAX_HEADER_BYTES = 16 << 20
Header = dict[str, bytes]


class Operation(IntEnum):
    """What a record is."""

    MESSAGE = 2
    BAG = 3
    INDEX = 4
    CHUNK = 5
    CHUNK_INFO = 6
    CONNECTION = 7


def chunk_content(file: BinaryIO, chunk: Chunk) -> memoryview:
    """Return the records of a chunk or run; fewer, where it is cut off.

    Raises:
        DamagedBagError: If there is no chunk, or it cannot be unpacked.
    """
    size = file.seek(0, 2)
    seek(file, chunk.offset, size)
    if chunk.is_run:
        return memoryview(file.read(chunk.num_bytes))
    header, length = read_head(file, size, may_be_cut=True)
    if operation_of(header) != Operation.CHUNK:
        msg = 'there is no chunk'
        raise DamagedBagError(msg)
    unpacked_size = number_in(header, 'size')
    form = decoded(header.get('compression', b''))
    return memoryview(unpack(file.read(min(length, size - file.tell())), form, unpacked_size))


def seek(file: BinaryIO, position: int, size: int) -> None:
    """Go to a byte of a file of some size.

    Raises:
        DamagedBagError: If it lies behind the end.
    """
    if position >= size:
        msg = f'byte {position} lies behind the end'
        raise DamagedBagError(msg)
    file.seek(position)


def read_head(file: BinaryIO, size: int, *, may_be_cut: bool = False) -> tuple[Header, int]:
    """Read a record's header, and how many bytes of data follow.

    Raises:
        DamagedBagError: If they do not fit into the file; the data may, where `may_be_cut`.
    """
    header = header_fields(_read(file, _length(file, size), size))
    length = _length(file, size, may_be_cut=may_be_cut)
    return header, length


def read_record(file: BinaryIO, size: int) -> tuple[Header, bytes]:
    """Read a record's header and data.

    Raises:
        DamagedBagError: If it does not fit into the file.
    """
    header, length = read_head(file, size)
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


def record_at(content: memoryview, position: int) -> tuple[Header, memoryview, int]:
    """Return the record at a position, and where the next one begins.

    Raises:
        DamagedBagError: If it is cut off.
    """
    header, position = _sized(content, position)
    body, position = _sized(content, position)
    return header_fields(header), body, position


def _sized(content: memoryview, position: int) -> tuple[memoryview, int]:
    begin = position + 4
    end = begin + int.from_bytes(content[position:begin], 'little')
    if begin > len(content) or end > len(content):
        msg = 'a record is cut off'
        raise DamagedBagError(msg)
    return content[begin:end], end


def header_fields(data: bytes | memoryview) -> Header:
    """Read `name=value` fields, each after its length.

    Raises:
        DamagedBagError: If one is cut off or has no value.
    """
    view, position, found = memoryview(data), 0, Header()
    while position < len(view):
        field, position = _sized(view, position)
        name, separator, value = bytes(field).partition(b'=')
        if not separator:
            msg = 'a header has a field without value'
            raise DamagedBagError(msg)
        found[name.decode(errors='replace')] = value
    return found


def number_in(header: Header, name: str, form: str = '<I') -> int:
    """Return a field as a number, by its form in `struct`.

    Raises:
        DamagedBagError: If it is missing or of another length.
    """
    try:
        return int(struct.unpack(form, header[name])[0])
    except (KeyError, struct.error) as err:
        msg = f'a header has no whole {name!r}'
        raise DamagedBagError(msg) from err


def operation_of(header: Header) -> int:
    """Return what a record is, as a number."""
    return number_in(header, 'op', '<B')


def time_in(header: Header, name: str) -> int:
    """Return a field as a time [ns].

    Raises:
        DamagedBagError: If it is missing or of another length.
    """
    value = header.get(name, b'')
    if len(value) != 8:
        msg = f'a header has no whole {name!r}'
        raise DamagedBagError(msg)
    seconds, nanoseconds = struct.unpack('<II', value)
    return int(seconds) * 10**9 + int(nanoseconds)


def decoded(value: bytes) -> str:
    """Return a field as text, with U+FFFD where it is no UTF-8."""
    return value.decode(errors='replace')
