# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The folder beside a result in which its chunks wait: OUT.parts, with its provenance in it.

Only what carries our provenance is ever removed, and of that only what we put there.
"""

from collections.abc import Iterator
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
from typing import Any

from hyperseg_core.errors import ConfigError
from hyperseg_ros.bags.reader import BagReader

MADE_BY = 'hyperseg bag label'
_MANIFEST = 'provenance.json'
_OURS = re.compile(r'\d{6}(\.unfinished)?|joined\.unfinished')
_WHOLE_BYTES = 64 << 20
_EDGE_BYTES = 1 << 20
_SAMPLES, _SAMPLE_BYTES = 256, 64 << 10


class Parts:
    """The chunks of one result."""

    def __init__(self, out: Path, provenance: dict[str, Any], *, resume: bool) -> None:
        """Create the folder, or go on with the one of an interrupted run.

        Args:
            out: The result.
            provenance: What the result is made of, and how; plain data.
            resume: Go on with chunks that are there; otherwise they are made anew.

        Raises:
            ConfigError: If the folder is not ours, or of a run with another input or options.
        """
        self.folder = out.with_name(f'{out.name}.parts')
        self._made = [item for item in self.folder.parents if not item.exists()]
        content = json.dumps({'made_by': MADE_BY, **provenance}, indent=2, sort_keys=True)
        found = self._found(content)
        if found and not (resume and found == content):
            if resume:
                msg = (
                    f'{self.folder} is from a run with another input, checkpoint or options; '
                    f'delete it, or give the same ones.'
                )
                raise ConfigError(msg)
            self.remove()
            found = ''
        if not found:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / _MANIFEST, content)
        for item in self.folder.iterdir():
            if item.name.endswith('.unfinished') and _OURS.fullmatch(item.name):
                shutil.rmtree(item)

    def _found(self, content: str) -> str:
        """Return the provenance that is there; '' for a folder that is not there or empty.

        One that a kill has cut off is the beginning of what is to be written, and nothing else
        lies beside it yet.
        """
        if not self.folder.exists():
            return ''
        if self.folder.is_dir() and not self.folder.is_symlink():
            manifest = self.folder / _MANIFEST
            names = {item.name for item in self.folder.iterdir()} - {f'{_MANIFEST}.unfinished'}
            text = manifest.read_text(errors='replace') if manifest.is_file() else ''
            if _is_ours(text):
                return text
            if names <= {_MANIFEST} and content.startswith(text):
                return ''
        msg = (
            f'{self.folder} is there and not ours: a labelled bag is made in a folder of that '
            f'name. Rename it, or give the result another name.'
        )
        raise ConfigError(msg)

    def chunk(self, index: int) -> Path:
        """Return where a chunk lies once it is whole."""
        return self.folder / f'{index:06d}'

    def chunks(self) -> list[Path]:
        """Return the whole chunks, in order."""
        return sorted(item for item in self.folder.iterdir() if re.fullmatch(r'\d{6}', item.name))

    def unfinished(self, name: str) -> Path:
        """Return an empty folder to make something in."""
        folder = self.folder / f'{name}.unfinished'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def remove(self) -> None:
        """Remove what we put here, and the folder if nothing else is in it.

        Raises:
            ConfigError: If something else is.
        """
        for item in list(self.folder.iterdir()):
            if _OURS.fullmatch(item.name) and item.is_dir():
                shutil.rmtree(item)
        ours = {_MANIFEST, f'{_MANIFEST}.unfinished'}
        others = sorted(item.name for item in self.folder.iterdir() if item.name not in ours)
        if others:
            msg = f'{self.folder} holds {", ".join(others[:5])}, which are not ours; move them.'
            raise ConfigError(msg)
        for item in list(self.folder.iterdir()):
            item.unlink()
        self.folder.rmdir()

    def remove_all(self) -> None:
        """Remove the folder, and those above it that were made for it and are empty."""
        self.remove()
        for folder in self._made:
            if any(folder.iterdir()):
                return
            folder.rmdir()


def _is_ours(text: str) -> bool:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get('made_by') == MADE_BY


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, whatever interrupts."""
    unfinished = path.with_name(f'{path.name}.unfinished')
    with unfinished.open('w', encoding='utf-8') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def input_digest(bag: Path, reader: BagReader) -> str:
    """Return the SHA-256 of a bag's file names, sizes, index and content.

    Small files are read whole, of larger ones the first and last megabyte, where indexes lie, and
    samples from between.
    """
    hasher = hashlib.sha256()
    for path in _files(bag):
        size = path.stat().st_size
        hasher.update(f'{path.name}:{size}\n'.encode(errors='surrogateescape'))
        for piece in _pieces(path, size):
            hasher.update(piece)
    for piece in reader.index():
        hasher.update(piece)
    return hasher.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; of a large one, of samples, as `input_digest` takes them."""
    hasher = hashlib.sha256()
    for piece in _pieces(path, path.stat().st_size):
        hasher.update(piece)
    return hasher.hexdigest()


def _files(bag: Path) -> list[Path]:
    if bag.is_file():
        beside = [bag.with_name(f'{bag.name}{ending}') for ending in ('-wal', '-journal')]
        return [bag, *(path for path in beside if path.is_file())]
    return sorted(path for path in bag.iterdir() if path.is_file() and path.name[-4:] != '-shm')


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with path.open('rb') as file:
        if size <= _WHOLE_BYTES:
            while piece := file.read(_EDGE_BYTES):
                yield piece
            return
        yield file.read(_EDGE_BYTES)
        for index in range(_SAMPLES):
            file.seek(index * size // _SAMPLES)
            yield file.read(_SAMPLE_BYTES)
        file.seek(size - _EDGE_BYTES)
        yield file.read()
