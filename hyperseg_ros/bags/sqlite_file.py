# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One rosbag2 file of SQLite, of any of its schemas, also one that a killed recorder left.

Nothing is written beside the user's file. What a recorder has left in a `-wal` is read where it
lies; a `-journal` has to be rolled back, which is done on a copy.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
import contextlib
from pathlib import Path
import shutil
import sqlite3
import tempfile
from typing import Any
from urllib.parse import quote

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import CDR
from hyperseg_ros.bags.connection import Channel
from hyperseg_ros.bags.connection import StoredMessage
from hyperseg_ros.bags.connection import is_latched
from hyperseg_ros.bags.connection import read_profiles
from hyperseg_ros.bags.connection import type_name

MAGIC = b'SQLite format 3\0'
_FORMS = {'ros2msg', 'ros2idl'}


class SqliteFile:
    """Reads a .db3 file."""

    def __init__(self, path: Path) -> None:
        """Read the topics.

        Raises:
            InputError: If it is no bag, or too damaged to tell its topics.
        """
        self.path = path
        self.problems: list[str] = []
        self.channels: dict[int, Channel] = {}
        self.start_ns = self.end_ns = 0
        with self._opened() as database:
            try:
                self._read_topics(database)
            except (sqlite3.Error, TypeError, ValueError) as err:
                msg = f'{path} is no SQLite bag, or its topics are damaged: {err}.'
                raise InputError(msg) from err

    def messages(self, channels: AbstractSet[int]) -> Iterator[StoredMessage]:
        """Read messages of some channels in order of their log time; what is damaged is left."""
        with self._opened() as database:
            try:
                # Their times first: a damaged page then costs the messages that lie on it.
                for number, channel, time_ns in self._times(database, channels):
                    data = self._data(database, number)
                    if data is not None:
                        yield StoredMessage(time_ns, channel, data)
            except sqlite3.Error as err:
                self._note(f'the file is damaged: {err}')

    def index(self) -> Iterator[bytes]:
        """Give the channels and times of all messages."""
        with self._opened() as database, contextlib.suppress(sqlite3.Error):
            for row in database.execute('SELECT id, topic_id, timestamp FROM messages'):
                yield f'{row}\n'.encode()

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with contextlib.ExitStack() as stack:
            path, options = self.path, 'mode=ro&immutable=1'
            if _has_content(f'{path}-journal'):
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                path, options = _copy(path, folder), 'mode=rw'
            elif _has_content(f'{path}-wal'):
                # Without locks and in exclusive mode, SQLite keeps the index of the -wal in
                # memory, and neither makes nor changes a file.
                options = 'mode=ro&vfs=unix-none'
            uri = f'file:{quote(str(path.absolute()))}?{options}'
            try:
                database = sqlite3.connect(uri, uri=True)
            except sqlite3.Error as err:
                msg = f'{path} cannot be opened: {err}.'
                raise InputError(msg) from err
            stack.callback(database.close)
            database.text_factory = lambda value: value.decode(errors='replace')
            with contextlib.suppress(sqlite3.Error):
                database.execute('PRAGMA locking_mode=EXCLUSIVE')
                database.execute('PRAGMA query_only=1')
            yield database

    def _read_topics(self, database: sqlite3.Connection) -> None:
        columns = {row[1] for row in database.execute('PRAGMA table_info(topics)')}
        wanted = ['id', 'name', 'type', 'serialization_format']
        if not columns.issuperset(wanted):
            msg = 'it has no table of topics'
            raise ValueError(msg)
        wanted += [c for c in ('offered_qos_profiles', 'type_description_hash') if c in columns]
        definitions, counts = self._definitions(database), self._statistics(database)
        for row in database.execute(f'SELECT {", ".join(wanted)} FROM topics ORDER BY id'):
            item = dict(zip(wanted, row, strict=True))
            form, text = definitions.get(str(item['type']), ('', ''))
            profiles = read_profiles(item.get('offered_qos_profiles') or '')
            self.channels[int(item['id'])] = Channel(
                str(item['name']), type_name(str(item['type'])),
                str(item['serialization_format'] or CDR), text, form,
                str(item.get('type_description_hash') or ''), counts.get(item['id'], 0),
                profiles, is_latched(profiles),
            )  # fmt: skip

    def _definitions(self, database: sqlite3.Connection) -> dict[str, tuple[str, str]]:
        """Return form and text of the definitions, by type; bags before Iron have none."""
        try:
            rows = database.execute(
                'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions'
            ).fetchall()
        except sqlite3.Error:
            return {}
        return {str(kind): (str(form), str(text)) for kind, form, text in rows if form in _FORMS}

    def _statistics(self, database: sqlite3.Connection) -> dict[Any, int]:
        """Count messages by topic, and find the first and last times."""
        try:
            rows = database.execute(
                'SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages '
                'GROUP BY topic_id'
            ).fetchall()
        except sqlite3.Error as err:
            self._note(f'the file is damaged: its messages cannot be counted ({err})')
            return {}
        times = [value for row in rows for value in row[2:] if isinstance(value, int)]
        self.start_ns, self.end_ns = min(times, default=0), max(times, default=0)
        return {row[0]: row[1] for row in rows}

    def _times(
        self, database: sqlite3.Connection, channels: AbstractSet[int]
    ) -> Iterator[tuple[int, int, int]]:
        marks = ', '.join('?' * len(channels))
        rows = database.execute(
            f'SELECT id, topic_id, timestamp FROM messages WHERE topic_id IN ({marks}) '
            f'ORDER BY timestamp, id',
            sorted(channels),
        )
        for number, channel, time_ns in rows:
            if isinstance(time_ns, int):
                yield number, channel, time_ns
            else:
                self._note(f'message {number} has no time')

    def _data(self, database: sqlite3.Connection, number: int) -> bytes | None:
        try:
            row = database.execute('SELECT data FROM messages WHERE id = ?', (number,)).fetchone()
        except (sqlite3.Error, MemoryError) as err:
            self._note(f'message {number} cannot be read: {err}')
            return None
        return row[0] if row is not None and isinstance(row[0], bytes) else None


def _has_content(path: str) -> bool:
    file = Path(path)
    return file.is_file() and file.stat().st_size > 0


def _copy(path: Path, folder: str) -> Path:
    """Copy a database with its journal, where SQLite may mend it."""
    try:
        for ending in ('', '-journal', '-wal'):
            if _has_content(f'{path}{ending}'):
                shutil.copyfile(f'{path}{ending}', Path(folder, f'bag.db3{ending}'))
    except OSError as err:
        msg = (
            f'{path} was left in the middle of a change and has to be copied to be read, which '
            f'failed ({err}). Set TMPDIR to a folder with more room.'
        )
        raise InputError(msg) from err
    return Path(folder, 'bag.db3')
