# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Unpacking what is compressed in bags, never to more than a limit."""

import bz2
from pathlib import Path
import shutil
import tempfile

import lz4.frame
import zstandard

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import DamagedBagError

MAX_BYTES = 256 << 20
"""What one chunk or message may unpack to; recorders write chunks of 1 to 4 MiB."""
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_STEP_BYTES = 1 << 20
_KEPT_FREE_BYTES = 1 << 30


def unpack(data: bytes | memoryview, form: str, size: int = MAX_BYTES) -> bytes | bytearray:
    """Unpack at most `size` bytes; fewer come where the data are cut off.

    Args:
        data: What was compressed.
        form: `zstd`, `lz4`, `bz2`, or '' or `none` for data as they are.
        size: How many bytes are expected at most.

    Raises:
        DamagedBagError: If the data are damaged, or unpack to more.
    """
    if size > MAX_BYTES:
        msg = f'{size} bytes unpacked are more than the {MAX_BYTES} that are accepted'
        raise DamagedBagError(msg)
    try:
        if form in {'', 'none'}:
            unpacked: bytes | bytearray = bytes(data[: size + 1])
        elif form == 'zstd':
            unpacked = _unpack_zstd(data, size)
        elif form == 'lz4':
            unpacked = lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=size + 1)
        elif form == 'bz2':
            unpacked = bz2.BZ2Decompressor().decompress(data, max_length=size + 1)
        else:
            msg = f'compression {form[:40]!r} is not known'
            raise DamagedBagError(msg)
    except (zstandard.ZstdError, RuntimeError, OSError, EOFError, ValueError) as err:
        if isinstance(err, DamagedBagError):
            raise
        msg = f'{form} data are damaged: {err}'
        raise DamagedBagError(msg) from err
    if len(unpacked) > size:
        msg = f'{form or "plain"} data unpack to more than the {size} bytes that were expected'
        raise DamagedBagError(msg)
    return unpacked


def _unpack_zstd(data: bytes | memoryview, size: int) -> bytearray:
    """Unpack into one piece of memory, of which the system gives what is written."""
    unpacked = bytearray(size + 1)
    position = 0
    with (
        memoryview(unpacked) as view,
        zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader,
    ):
        while position <= size:
            count = reader.readinto(view[position : position + _STEP_BYTES])
            if not count:
                break
            position += count
    del unpacked[position:]
    return unpacked


def unpack_file(path: Path, folder: str) -> Path:
    """Unpack a zstd file into a folder, as far as it goes.

    Raises:
        InputError: If it cannot be unpacked, or there is no room for it.
    """
    target = Path(folder, path.name.removesuffix('.zstd'))
    room = shutil.disk_usage(folder).free - _KEPT_FREE_BYTES
    try:
        with path.open('rb') as file, target.open('wb') as out:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while piece := reader.read(_STEP_BYTES):
                room -= len(piece)
                if room < 0:
                    msg = (
                        f'{path} is compressed; unpacked it does not fit into '
                        f'{tempfile.gettempdir()}: set TMPDIR to a folder with more room.'
                    )
                    raise InputError(msg)
                out.write(piece)
    except zstandard.ZstdError as err:
        msg = f'{path} is a zstd file that cannot be unpacked: {err}.'
        raise InputError(msg) from err
    return target
