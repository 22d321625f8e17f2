# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a worker keeps the bag that it works on: one folder a bag, locked while it is used.

A folder whose worker was killed is taken over by the next that gets the bag, with all that is
whole in it; others that nobody holds are removed.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import re
import shutil
import tempfile
import time
from typing import IO

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.parts import file_digest
from hyperseg_ros.fleet.inputs import BagInput
from hyperseg_ros.fleet.storage import Store

_OURS = re.compile(r'[0-9a-f]{64}')
_LOCK = 'lock'
_POLL_S = 0.2
_KEEP_S = 3600.0
_SPARE_BYTES = 256 << 20
_RESULTS = 2
"""While chunks are joined, the result is there twice; masks are smaller than their images."""


def default_scratch() -> str:
    """Return the folder that is used where none is named."""
    return str(Path(tempfile.gettempdir()) / 'hyperseg-fleet')


@contextlib.contextmanager
def held(scratch: Path, key: str) -> Iterator[Path]:
    """Hold the folder of a bag; it is removed unless an exception ends the work.

    Another process that holds it is waited for: it makes the same, and ends or dies.
    """
    folder = scratch / key
    with _lock_of(folder):
        yield folder
        _remove(folder)


def _lock_of(folder: Path) -> IO[str]:
    """Return the lock file of a folder, once it is locked by us."""
    while True:
        # Whoever held it may have removed it; locked is only what still lies there.
        with contextlib.suppress(FileNotFoundError):
            _make(folder)
            lock = (folder / _LOCK).open('w')
            try:
                is_ours = _is_locked_by_us(lock)
                if is_ours and os.path.samestat(os.fstat(lock.fileno()), _stat(folder)):
                    return lock
            except BaseException:
                lock.close()
                raise
            lock.close()
        time.sleep(_POLL_S)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # There when it was made, and removed by its holder before pathlib looked what it is.
        if folder.exists() and not folder.is_dir():
            raise


def _stat(folder: Path) -> os.stat_result:
    return (folder / _LOCK).stat()


def _remove(folder: Path) -> None:
    """Remove a folder whose lock we hold; the lock last, so that nobody finds half of it."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (folder / _LOCK).unlink()
        folder.rmdir()


def _is_locked_by_us(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sweep(scratch: Path, *, older_than_s: float = _KEEP_S) -> None:
    """Remove what killed workers have left and nobody took over.

    Args:
        scratch: The folder of all bags that are being worked on here.
        older_than_s: What was begun later than so long ago stays [s].
    """
    if not scratch.is_dir():
        return
    for folder in scratch.iterdir():
        with contextlib.suppress(OSError):
            lock = folder / _LOCK
            if not _OURS.fullmatch(folder.name) or not lock.is_file():
                continue
            if time.time() - lock.stat().st_mtime < older_than_s:
                continue
            with lock.open('r+') as file:
                if _is_locked_by_us(file):
                    _remove(folder)


def stage(bag: BagInput, folder: Path, *, has_result: bool = True) -> Path:
    """Bring a bag to this machine, if it is not there; returns its path.

    Args:
        bag: What is wanted.
        folder: Where to, from `held`.
        has_result: Whether there must be room for a labelled bag, too.

    Raises:
        InputError: If there is no room for it and its result, or it has changed since it was
            listed.
        StorageError: If it cannot be read.
    """
    store = Store(bag.url)
    is_staged = not store.is_local
    _check_space(folder, bag.size * (_RESULTS * has_result + is_staged))
    if not is_staged:
        return store.local_path('' if bag.folder else bag.files[0].name)
    target = folder / 'input' / bag.folder if bag.folder else folder / 'input'
    target.mkdir(parents=True, exist_ok=True)
    for file in bag.files:
        path = target / file.name
        if not (path.is_file() and path.stat().st_size == file.size):
            store.download(file.name, path)
    check_unchanged(bag)
    return target if bag.folder else target / bag.files[0].name


def check_unchanged(bag: BagInput) -> None:
    """Check that a bag is still what was listed.

    Raises:
        InputError: If it is not.
    """
    store = Store(bag.url)
    for file in bag.files:
        if store.is_local:
            path = store.local_path(file.name)
            is_same = path.is_file() and file_digest(path) == file.tag
        else:
            found = store.info(file.name)
            is_same = found is not None and (found.size, found.tag) == (file.size, file.tag)
        if not is_same:
            msg = f'{bag.place} has changed since it was listed ({file.name}); run again.'
            raise InputError(msg)


def _check_space(folder: Path, num_bytes: int) -> None:
    """Check that there is room.

    Raises:
        InputError: If there is not.
    """
    wanted, free = num_bytes + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < wanted:
        msg = (
            f'{folder.parent} has {free >> 20} MiB free, but {wanted >> 20} MiB are wanted for '
            f'the bag and its result; make room, or name another folder: --scratch.'
        )
        raise InputError(msg)
