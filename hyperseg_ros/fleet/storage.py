# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders and buckets alike, through fsspec: listing, reading, writing, renaming.

What may pass (a refused connection, a slow server) is tried again with growing pauses for some
minutes; what will not (no rights, no such bucket, a full disk) is said at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
import errno
import logging
import os
from pathlib import Path
import re
import time
from typing import Any
from typing import TypeVar

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import HyperSegError

_logger = logging.getLogger(__name__)
_PROTOCOL = re.compile(r'([a-z][a-z0-9+.-]*)://', re.IGNORECASE)
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 20.0
PATIENCE_S = 300.0
"""So long a worker waits for a storage that does not answer before its bag counts as failed."""
COMMAND_PATIENCE_S = 10.0
"""So long a command waits, before somebody who watches it."""
_LASTING = (
    FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError,
    NotImplementedError, ValueError, TypeError,
)  # fmt: skip
_LASTING_ERRNO = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP}
_LASTING_NAMES = {'NoCredentialsError', 'PartialCredentialsError', 'DefaultCredentialsError'}
"""Of clouds' libraries, which may not be installed."""
_TAGS = ('ETag', 'etag', 'md5Hash', 'content_md5', 'generation', 'LastModified', 'mtime')
"""What storages say of a content, the surest first."""
_OPTIONS: dict[str, dict[str, Any]] = {
    # Trying again is ours, so that a wrong address is told in seconds.
    's3': {'config_kwargs': {'connect_timeout': 5, 'retries': {'max_attempts': 1}}},
}
_Result = TypeVar('_Result')


class StorageError(HyperSegError):
    """A storage that refuses, or did not answer for long."""

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        """Take a message, and whether trying again is of no use."""
        super().__init__(message)
        self.is_lasting = is_lasting


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file below a store's root."""

    name: str
    """Relative to the root, with `/`."""
    size: int
    """[bytes]"""
    tag: str
    """What the storage says of its content: an ETag, a hash, or a time; '' if nothing."""


class Store:
    """A folder of a storage, by its URL."""

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        """Name a folder; nothing is asked of the storage yet.

        Args:
            url: A path, or `s3://bucket/folder`, `gs://`, `file://` and whatever fsspec knows.
            patience_s: So long is tried again what may pass [s].

        Raises:
            ConfigError: If the kind of storage is unknown or its package is not installed.
        """
        self._filesystem, self.root = _filesystem(url)
        self.is_local = 'file' in _protocols(self._filesystem)
        self.url = self.root if self.is_local else self._url_of(self.root)
        self._patience_s = 0.0 if self.is_local else patience_s

    def path(self, name: str) -> str:
        """Return the path of a file as fsspec has it.

        Raises:
            ConfigError: If the name leads out of the store.
        """
        if any(part in {'', '.', '..'} for part in name.split('/')):
            msg = f'{name!r} is no name below {self.url}: it has empty parts or leads out of it.'
            raise ConfigError(msg)
        return f'{self.root.rstrip("/")}/{name}'

    def local_path(self, name: str = '') -> Path:
        """Return where a file lies, of a local store."""
        return Path(self.path(name) if name else self.root)

    def _url_of(self, path: str) -> str:
        return str(self._filesystem.unstrip_protocol(path))

    def kind(self) -> str:
        """Return `file`, `directory` or, where nothing is there, ``."""
        try:
            found = self._ask('read', lambda: self._filesystem.info(self.root))
        except StorageError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return ''
            raise
        return str(found['type'])

    def files(self, folder: str = '') -> list[StoredFile]:
        """List the files below the root or a folder in it, at any depth, sorted by name."""
        start = self.path(folder) if folder else self.root
        found = self._ask('list', lambda: self._filesystem.find(start, detail=True))
        if start in found:  # it is a file itself
            return [_stored(start.rpartition('/')[2], found[start])]
        prefix = len(self.root.rstrip('/')) + 1
        return sorted(
            (_stored(path[prefix:], info) for path, info in found.items()),
            key=lambda item: item.name,
        )

    def matches(self) -> list[str]:
        """Return the URLs that the root, as a pattern, matches."""
        found = self._ask('list', lambda: self._filesystem.glob(self.root))
        return [path if self.is_local else self._url_of(path) for path in sorted(found)]

    def info(self, name: str) -> StoredFile | None:
        """Return what is known of a file, or None if there is none."""
        path = self.path(name)
        try:
            return _stored(name, self._ask('read', lambda: self._filesystem.info(path)))
        except StorageError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return None
            raise

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a small file's content, or None if there is none.

        Args:
            name: Relative to the root.
            limit: A larger one is refused [bytes].
        """
        path = self.path(name)

        def read() -> bytes:
            with self._filesystem.open(path, 'rb') as file:
                return bytes(file.read(limit + 1))

        try:
            content = self._ask('read', read)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        if len(content) > limit:
            msg = f'{self.url}/{name} has more than {limit} bytes, which none of ours has.'
            raise StorageError(msg, is_lasting=True)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a small file whole: under a temporary name, then renamed."""
        path, unfinished = self.path(name), self.path(_unfinished(name))
        self._make_folder(path)
        self._ask('write', lambda: self._filesystem.pipe_file(unfinished, content))
        self._ask('rename', lambda: self._rename(unfinished, path))

    def upload(self, source: Path, name: str) -> None:
        """Copy a local file to the store: under a temporary name, then renamed."""
        path, unfinished = self.path(name), self.path(_unfinished(name))
        self._make_folder(path)
        self._ask('write', lambda: self._filesystem.put_file(str(source), unfinished))
        self._ask('rename', lambda: self._rename(unfinished, path))

    def download(self, name: str, target: Path) -> None:
        """Copy a file from the store to a local path, whole or not at all."""
        path = self.path(name)
        unfinished = target.with_name(f'{target.name}.unfinished')
        self._ask('read', lambda: self._filesystem.get_file(path, str(unfinished)))
        unfinished.replace(target)

    def remove(self, names: list[str]) -> None:
        """Remove files; of those that are gone already nothing is said."""
        for name in names:
            path = self.path(name)
            try:
                self._ask('remove', lambda path=path: self._filesystem.rm_file(path))  # type: ignore[misc]
            except StorageError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise

    def _make_folder(self, path: str) -> None:
        if self.is_local:  # buckets have none
            folder = path.rpartition('/')[0]
            self._ask('make', lambda: self._filesystem.makedirs(folder, exist_ok=True))

    def _rename(self, source: str, target: str) -> None:
        if self.is_local:
            Path(source).replace(target)
            return
        try:
            self._filesystem.cp_file(source, target)
        except FileNotFoundError:
            if not self._filesystem.exists(target):
                raise
            return  # it was renamed, and the answer was lost
        self._filesystem.rm_file(source)

    def _ask(self, verb: str, operation: Callable[[], _Result]) -> _Result:
        """Do something with the storage, again and again while it may yet succeed.

        Raises:
            StorageError: If it does not.
        """
        end_s, pause_s = time.monotonic() + self._patience_s, _PAUSE_S
        while True:
            try:
                self._filesystem.invalidate_cache()
                return operation()
            except Exception as error:  # every storage's library has classes of its own
                is_lasting = _is_lasting(error)
                if is_lasting or time.monotonic() + pause_s > end_s:
                    told = ' '.join(f'{error}'.split()) or type(error).__name__
                    msg = f'Cannot {verb} {self.url}: {told}'
                    raise StorageError(msg, is_lasting=is_lasting or self.is_local) from error
                _logger.warning('Waiting for %s: %s', self.url, error)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec

    found = _PROTOCOL.match(url)
    protocol = found.group(1).lower() if found else 'file'
    if protocol == 'file':
        path = url.partition('://')[2] if found else url
        url = os.path.abspath(Path(path).expanduser())
    try:
        # A listing of a minute ago knows nothing of what another machine has written since.
        options = {} if protocol == 'file' else {'use_listings_cache': False}
        filesystem = fsspec.filesystem(protocol, **options, **_OPTIONS.get(protocol, {}))
    except (ImportError, ValueError, TypeError) as error:
        hint = {'s3': 's3fs', 'gs': 'gcsfs', 'gcs': 'gcsfs'}.get(protocol)
        told = f'`pip install {hint}`' if hint else f'{error}'
        msg = f'{url} cannot be used: {told}.' if hint is None else f'{url} needs {hint}: {told}.'
        raise ConfigError(msg) from error
    root = str(filesystem._strip_protocol(url))
    if protocol != 'file' and not root.strip('/'):
        msg = f'{url} names no bucket; write e.g. {protocol}://bucket/folder.'
        raise ConfigError(msg)
    return filesystem, root


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _unfinished(name: str) -> str:
    folder, separator, last = name.rpartition('/')
    return f'{folder}{separator}.{last}.unfinished'


def is_unfinished(name: str) -> bool:
    """Whether a name is the temporary one of a file being written."""
    last = name.rpartition('/')[2]
    return last.startswith('.') and last.endswith('.unfinished')


def _stored(name: str, info: dict[str, Any]) -> StoredFile:
    tag = next((str(info[key]) for key in _TAGS if info.get(key) is not None), '')
    return StoredFile(name, int(info.get('size') or 0), tag.strip('"'))


def _is_lasting(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _LASTING_ERRNO:
        return True
    return isinstance(error, _LASTING) or type(error).__name__ in _LASTING_NAMES
