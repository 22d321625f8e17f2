# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Looking through `torch.save` files before they are loaded: what they ask for, and how much.

`torch.load(weights_only=True)` runs no code, but it takes what memory a file claims. Opcodes are
read here without being run.
"""

import io
from pathlib import Path
import pickletools
from typing import BinaryIO
import zipfile

from hyperseg_core.errors import CheckpointError

_MAX_PICKLE = 256 << 20
"""Largest description of a checkpoint's structure, apart from its tensors."""
_MAX_UNPACKED = 16 << 30
_MAX_RATIO = 20
"""`torch.save` compresses nothing; weights that somebody zipped anew shrink by far less."""
_NUM_PICKLES = 5
"""Of an old file: number, version, system, content, names of storages; then the numbers."""
_MAGIC = b'\x80'
_LEGACY_NUMBER = 0x1950A86A20F9469CFC6C
"""What old files begin with, as a number."""


def check_torch_file(path: Path) -> None:
    """Check what a file would make `torch.load` do.

    Raises:
        CheckpointError: If it is a TorchScript program, unpacks to far more than it is, or asks
            for more memory than its tensors can need.
    """
    if zipfile.is_zipfile(path):
        _check_archive(path)
        return
    with path.open('rb') as file:
        if file.read(1) == _MAGIC:
            file.seek(0)
            _check_legacy(path, file)


def _refuse(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f'{path} is refused: {reason}. Loading never runs code from a file; save its state_dict '
        f'alone with `torch.save`.'
    )


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > _MAX_UNPACKED or unpacked > _MAX_RATIO * path.stat().st_size + 4096:
                raise _refuse(path, f'it would unpack to {unpacked:,} bytes')
            names = [entry.filename for entry in entries]
            if any(name.endswith('/constants.pkl') or '/code/' in name for name in names):
                raise _refuse(path, 'it is a TorchScript program, made by torch.jit')
            for entry in entries:
                if entry.filename.endswith('data.pkl'):
                    if entry.file_size > _MAX_PICKLE:
                        raise _refuse(path, f'its structure takes {entry.file_size:,} bytes')
                    _scan(path, io.BytesIO(archive.read(entry)), unpacked)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, EOFError) as err:
        msg = f'{path} is not a readable torch file ({err}); download or copy it again.'
        raise CheckpointError(msg) from err


def _check_legacy(path: Path, file: BinaryIO) -> None:
    """Read the pickles of a file from before PyTorch 1.6: number, version, system, content."""
    size = path.stat().st_size
    for _ in range(_NUM_PICKLES):
        start = file.read(1)
        if start != _MAGIC:
            return
        file.seek(-1, io.SEEK_CUR)
        _scan(path, file, size)


def _scan(path: Path, file: BinaryIO, available: int) -> None:
    """Go through a pickle's opcodes.

    Args:
        path: The file, for messages.
        file: At the pickle's beginning; afterwards at its end.
        available: Bytes that tensors can have.
    """
    strings: set[str] = set()
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if isinstance(argument, str):
                strings.update(argument.split(' ') if opcode.name == 'GLOBAL' else [argument])
            is_large = isinstance(argument, int) and abs(argument) > max(available, 1 << 34)
            if is_large and argument != _LEGACY_NUMBER:
                raise _refuse(path, f'it asks for {argument:.3g} of something')
    except (ValueError, IndexError, UnicodeDecodeError, OverflowError, EOFError) as err:
        msg = f'{path} is damaged or cut off ({err}); download or copy it again.'
        raise CheckpointError(msg) from err
    if 'bytearray' in strings and strings & {'builtins', '__builtin__'}:
        raise _refuse(path, 'it asks for raw memory (bytearray)')
