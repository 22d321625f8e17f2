# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Built engines on disk: keyed on all that they depend on, written at once or not at all.

An entry is a folder with what an engine built and a manifest with the hash of each file and the
outcome of the parity check. Whatever does not match its manifest is built again, never loaded.
A cache that cannot be used costs a warning and the time to build, never the engine.
"""

from collections.abc import Mapping
from dataclasses import asdict
import errno
import fcntl
import hashlib
import json
import logging
import os
from pathlib import Path
import shutil
import stat
import time
from types import TracebackType
from typing import Any

from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engine import engine_version
from hyperseg_core.inference.machine import capability
from hyperseg_core.inference.machine import cpu_features
from hyperseg_core.inference.machine import device_name
from hyperseg_core.inference.machine import driver_version

_logger = logging.getLogger(__name__)
_LAYOUT_VERSION = 3
_LOCK, _MANIFEST = 'lock', 'manifest.json'
_LOCK_WAIT_S, _LOCK_POLL_S = 300.0, 0.1
"""Another process that builds the same engine may take minutes where TensorRT tries kernels."""
_unusable: set[Path] = set()


def cache_root() -> Path:
    """Return the user's cache folder for engines (XDG base directory specification)."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    if base.startswith('~'):  # a user without a home, as containers have them
        base = '/nonexistent/.cache'
    return Path(base) / 'hyperseg_ros' / 'engines'


def cache_key(task: Task, spec: EngineSpec, content: bytes) -> dict[str, Any]:
    """Return all that a built engine depends on.

    Args:
        task: Its shapes.
        spec: The engine.
        content: What it is built from: the serialised graph, or what stands for it.
    """
    return {
        'layout': _LAYOUT_VERSION,
        'content': hashlib.sha256(content).hexdigest(),
        'engine': asdict(spec),
        'engine_version': engine_version(spec.name),
        'device': device_name(spec.device),
        'capability': capability(spec.device),
        'driver': driver_version(spec.device),
        'processor': cpu_features(),
        'batch': task.batch,
        'size': list(task.size),
        'output_size': list(task.output_size),
    }


class CacheEntry:
    """One engine's folder, locked while it is open; processes that want the same wait.

    Where there is no place, `folder` is None and nothing is kept.
    """

    def __init__(self, key: Mapping[str, Any]) -> None:
        """Describe the entry; nothing is read or written yet."""
        self._key = dict(key)
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        self._path = cache_root() / name
        self._lock: int | None = None
        self._is_readable = False
        self._files: dict[str, str] = {}
        self._parity: dict[str, Any] | None = None

    def __enter__(self) -> 'CacheEntry':
        """Lock the entry and read its manifest; what does not match it is removed."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._lock = _acquire(self._path / _LOCK)
            self._is_readable = True
            if not self._read_manifest():
                self._clear()
        except OSError as err:
            self._release()
            # An image of a robot may hold built engines where nothing can be written.
            self._is_readable = not os.path.islink(self._path) and self._read_manifest()
            if not self._is_readable:
                _warn(err)
        except BaseException:  # nobody will leave what was not entered
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let other processes go on."""
        self._release()

    @property
    def parity(self) -> dict[str, Any] | None:
        """The outcome of the parity check, if it was made with the files as they are."""
        return self._parity

    @property
    def folder(self) -> Path | None:
        """A folder for engines that write files of their own; None where there is no place."""
        if not self._is_readable:
            return None
        for name in list(self._files):
            if self.read(name) is None:
                break
        return self._path if self._is_readable else None

    def read(self, name: str) -> bytes | None:
        """Return a file that was written before, if it is what was written."""
        if name not in self._files:
            return None
        try:
            data = _read_regular(self._path / name)
        except OSError:
            data = b''
        if hashlib.sha256(data).hexdigest() == self._files[name]:
            return data
        self._files, self._parity = {}, None
        try:
            # Without the lock they may be another process's, which is writing them.
            self._is_readable = self._lock is not None
            if self._is_readable:
                self._clear()
        except OSError as err:
            self._is_readable = False
            _warn(err)
        return None

    def write(self, name: str, data: bytes) -> None:
        """Keep a file for next time, if there is a place."""
        if self._lock is None:
            return
        try:
            _write_regular(self._path / name, data)
        except OSError as err:
            self._release()
            _warn(err)
            return
        self._files[name] = hashlib.sha256(data).hexdigest()

    def record(self, parity: Mapping[str, Any]) -> None:
        """Sign the entry: it is good as it is, with this outcome of the parity check."""
        self._parity = dict(parity)
        if self._lock is None:
            return
        try:
            for name in self._names() - self._files.keys():
                data = _read_regular(self._path / name)
                self._files[name] = hashlib.sha256(data).hexdigest()
            content = {'key': self._key, 'files': self._files, 'parity': self._parity}
            data = json.dumps(content, indent=2).encode()
            _write_regular(self._path / _MANIFEST, data)
        except OSError as err:
            _warn(err)

    def _read_manifest(self) -> bool:
        """Take over the manifest if it is of this key and names the files that are there."""
        try:
            manifest = json.loads(_read_regular(self._path / _MANIFEST))
            files, parity = manifest['files'], manifest['parity']
            is_good = manifest['key'] == self._key and set(files) == self._names()
            if not (is_good and isinstance(files, dict) and isinstance(parity, dict)):
                return False
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        self._files, self._parity = dict(files), parity
        return True

    def _names(self) -> set[str]:
        """Return the names of what lies in the folder, but lock and manifest."""
        return {path.name for path in self._path.iterdir()} - {_LOCK, _MANIFEST}

    def _clear(self) -> None:
        for path in self._path.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _warn(err: OSError) -> None:
    """Say once that the cache cannot be used: a segmenter builds an engine for each size."""
    if cache_root() in _unusable:
        return
    _unusable.add(cache_root())
    _logger.warning(
        'The engine cache %s cannot be used (%s); the engine is built for this run only. Set '
        'XDG_CACHE_HOME to a folder with room that you may write.', cache_root(), err,
    )  # fmt: skip


def _open_regular(path: Path, flags: int) -> int:
    """Open a regular file, never through a link, never waiting for a pipe's other end."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, 'No regular file', str(path))
    return descriptor


def _read_regular(path: Path) -> bytes:
    with open(_open_regular(path, os.O_RDONLY), 'rb') as file:
        return file.read()


def _write_regular(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it; a link at either name is replaced."""
    temporary = path.with_name(f'.{path.name}.part')
    temporary.unlink(missing_ok=True)
    try:
        with open(_open_regular(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _acquire(path: Path) -> int:
    """Lock a file, waiting for whoever holds it.

    Raises:
        TimeoutError: If it is held for too long.
    """
    if path.parent.is_symlink():
        raise OSError(errno.ELOOP, 'The entry is a link', str(path.parent))
    descriptor = _open_regular(path, os.O_RDWR | os.O_CREAT)
    deadline_s = time.monotonic() + _LOCK_WAIT_S
    has_logged = False
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                pass
            if not has_logged:
                has_logged = True
                _logger.info(
                    'Another process builds the same engine; waiting for it up to %.0f s (%s).',
                    _LOCK_WAIT_S, path,
                )  # fmt: skip
            if time.monotonic() > deadline_s:
                raise TimeoutError(errno.ETIMEDOUT, 'Locked for too long', str(path))
            time.sleep(_LOCK_POLL_S)
    except BaseException:
        os.close(descriptor)
        raise
