# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of a bag, each opened by what its first bytes are, whatever it is called."""

from pathlib import Path

from hyperseg_core.errors import InputError
from hyperseg_ros.bags import mcap_records
from hyperseg_ros.bags import ros1_records
from hyperseg_ros.bags import sqlite_file
from hyperseg_ros.bags.compression import ZSTD_MAGIC
from hyperseg_ros.bags.compression import unpack_file
from hyperseg_ros.bags.connection import Storage
from hyperseg_ros.bags.files import bag_files
from hyperseg_ros.bags.mcap_file import McapFile
from hyperseg_ros.bags.metadata import METADATA
from hyperseg_ros.bags.metadata import BagMetadata
from hyperseg_ros.bags.ros1_file import Ros1File

_HEAD_BYTES = 64


def files_of(folder: Path, metadata: BagMetadata, *, has_metadata: bool) -> list[Path]:
    """Return the files of a bag's folder, in their order; what is missing is a problem.

    Raises:
        InputError: If there is none, or there are several bags.
    """
    named = [_with_any_ending(folder / name) for name in metadata.files]
    missing = [path for path in named if not path.is_file()]
    files = [path for path in named if path not in missing]
    if not files:
        # Renamed files are those that are there; whether they are all, the counts tell.
        files = bag_files(folder)
    else:
        metadata.problems += [
            f'{path.name}, which {METADATA} names, is missing' for path in missing
        ]
    if not files:
        inner = ', '.join(sorted(item.name for item in folder.iterdir())[:8]) or 'nothing'
        msg = f'{folder} holds no file of a bag (.mcap, .db3, .bag); it holds {inner}.'
        raise InputError(msg)
    if not has_metadata and len(files) > 1:
        msg = (
            f'{folder} has no {METADATA} and holds {len(files)} bags; name one: '
            f'{", ".join(file.name for file in files[:8])}.'
        )
        raise InputError(msg)
    return files


def _with_any_ending(path: Path) -> Path:
    """Return the file that was compressed, or unpacked, since metadata.yaml was written."""
    packed, unpacked = path.with_name(f'{path.name}.zstd'), path.with_suffix('')
    if not path.is_file() and packed.is_file():
        return packed
    return unpacked if not path.is_file() and path.suffix == '.zstd' else path


def open_file(path: Path, folder: str) -> Storage:
    """Open a file by what its first bytes are.

    Raises:
        InputError: If they are no bag's.
    """
    with path.open('rb') as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(ZSTD_MAGIC):
        return open_file(unpack_file(path, folder), folder)
    try:
        if head.startswith(mcap_records.MAGIC):
            return McapFile(path)
        if head.startswith(sqlite_file.MAGIC):
            return sqlite_file.SqliteFile(path)
        if head.startswith(ros1_records.MAGIC):
            return Ros1File(path)
    except (InputError, OSError):
        raise
    except Exception as err:  # damage that the readers did not foresee
        msg = f'{path} is too damaged to be opened ({type(err).__name__}: {str(err)[:200]}).'
        raise InputError(msg) from err
    raise InputError(_not_a_bag(path, head))


def _not_a_bag(path: Path, head: bytes) -> str:
    if not head:
        return f'{path} is empty: its recorder wrote nothing, or its copy failed.'
    if head.startswith(b'#ROSBAG V'):
        version = head[9:12].decode(errors='replace')
        return f'{path} is a bag of format {version}, of 2010 or before; `rosbag fix` mends it.'
    if head.startswith(b'version https://git-lfs'):
        return f'{path} only points to a file in Git LFS; get it with `git lfs pull`.'
    return (
        f'{path} is no bag: it begins with {bytes(head[:12])!r}, as neither MCAP, SQLite (.db3) '
        f'nor ROS 1 bags do.'
    )
