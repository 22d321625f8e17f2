# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a bag in a store: whole and committed by its last object, or not there.

A result is a folder: the labelled bag's files, and `labelling.json`, which is written last and
lists them with size and SHA-256. While it is missing, `unfinished.json` says that what lies there
is ours and may be replaced. A bag that failed leaves `failed.json` alone.
"""

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
import hashlib
import json
from pathlib import Path
from typing import Any

from hyperseg_core.errors import ConfigError
from hyperseg_ros.bags.files import LABELLING
from hyperseg_ros.bags.metadata import METADATA
from hyperseg_ros.fleet.commit_format import is_failure
from hyperseg_ros.fleet.commit_format import is_labelling
from hyperseg_ros.fleet.storage import StorageError
from hyperseg_ros.fleet.storage import Store
from hyperseg_ros.fleet.storage import is_unfinished

FAILED = 'failed.json'
_CLAIM = 'unfinished.json'
_MARKS = (_CLAIM, LABELLING, FAILED)
_BAG_FILES = ('.mcap', '.db3')
MADE_BY = 'hyperseg fleet label'
_MAX_BYTES = 256 << 20
_READERS = 16
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """A committed bag, or one that failed."""

    name: str
    """Its folder below the store's root."""
    key: str
    content: dict[str, Any]
    """Of labelling.json or failed.json."""
    is_failed: bool = False

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files of the labelled bag: name, size and sha256 each."""
        return [] if self.is_failed else list(self.content['fleet']['outputs'])


def find_results(store: Store) -> dict[str, Result]:
    """Return the results below a store's root by name; what is not whole is not among them.

    A result counts if all files that it lists are there in their sizes.
    """
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for file in store.files():
        folder, _, name = file.name.rpartition('/')
        sizes[folder][name] = file.size
    candidates = [
        (folder, mark)
        for folder, inner in sizes.items()
        for mark in (LABELLING, FAILED)
        if folder and mark in inner
    ]
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(lambda item: _read(store, *item), candidates)
        found = [result for result in read if result is not None]
    results: dict[str, Result] = {}
    for result in found:
        if _is_whole(store, result, sizes[result.name]):
            results.setdefault(result.name, result)
    return results


def find_result(store: Store, name: str) -> Result | None:
    """Return a bag's result, if it is whole."""
    prefix = len(name) + 1
    sizes = {file.name[prefix:]: file.size for file in store.files(name)}
    result = _read(store, name, LABELLING) if LABELLING in sizes else None
    return result if result is not None and _is_whole(store, result, sizes) else None


def _is_whole(store: Store, result: Result, sizes: dict[str, int]) -> bool:
    """Whether all files of a result are there, and no other run has begun to replace them."""
    if any(sizes.get(file['name']) != file['size'] for file in result.files):
        return False
    return _CLAIM not in sizes or _claimant(store, result.name) in {'', result.key}


def _claimant(store: Store, folder: str) -> str:
    """Return the key of the run that claims a folder; '' if none does."""
    fleet = _content(store, f'{folder}/{_CLAIM}').get('fleet')
    key = fleet.get('key') if isinstance(fleet, dict) else ''
    return key if isinstance(key, str) else ''


def _read(store: Store, folder: str, mark: str) -> Result | None:
    content = _content(store, f'{folder}/{mark}')
    is_known = is_failure if mark == FAILED else is_labelling
    if not is_known(content):
        return None
    return Result(folder, content['fleet']['key'], content, mark == FAILED)


def _content(store: Store, name: str) -> dict[str, Any]:
    """Return a file's object; empty where it is not there, or no whole JSON object."""
    try:
        content = json.loads(store.read(name, _MAX_BYTES) or b'')
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


class Publication:
    """A result on its way into the store."""

    def __init__(self, store: Store, name: str, key: str) -> None:
        """Name the result; nothing is written yet."""
        self._store, self._name, self._key = store, name, key

    def check(self) -> list[str]:
        """Return what is there, all of it ours.

        Raises:
            ConfigError: If something is not.
        """
        there = [file.name for file in self._store.files(self._name)]
        marks = [mark for mark in self._marks() if mark in there]
        is_ours = any(_content(self._store, mark).get('fleet') for mark in marks)
        if not is_ours and not all(map(is_unfinished, there)):
            msg = (
                f'{self._store.url}/{self._name} is there already and was not made by '
                f'`{MADE_BY}`; move it, or write to another place.'
            )
            raise ConfigError(msg)
        strange = [name for name in there if not self._may_be_ours(name)]
        if strange:
            msg = (
                f'{self._store.url}/{strange[0]} was not made by `{MADE_BY}`, but lies where a '
                f'result goes; move it, or write to another place.'
            )
            raise ConfigError(msg)
        return there

    def _may_be_ours(self, name: str) -> bool:
        """Whether a file has a name of those that a result consists of."""
        own = name[len(self._name) + 1 :]
        is_named = own in _MARKS or own == METADATA or own.endswith(_BAG_FILES)
        return '/' not in own and (is_named or is_unfinished(own))

    def begin(self) -> None:
        """Claim the folder, and take away what an earlier run has left or committed there.

        Raises:
            ConfigError: If something is there that is not ours.
        """
        self.check()
        self._write(_CLAIM, {'fleet': {'key': self._key, 'made_by': MADE_BY}})
        there = self.check()  # another run may have committed since
        # The commit goes first: never does it stand beside what is not its own.
        claim, *marks = self._marks()
        self._store.remove([mark for mark in marks if mark in there])
        self._store.remove([name for name in there if name not in {claim, *marks}])

    def commit(self, folder: Path, facts: dict[str, Any]) -> Result:
        """Upload a labelled bag, then the object that makes it count; returns the result.

        Args:
            folder: The labelled bag.
            facts: What labelling.json is to say beside what the labelled bag's own does.

        Raises:
            StorageError: If another run has claimed the folder meanwhile, or emptied it.
        """
        outputs = []
        for path in sorted(item for item in folder.iterdir() if item.name != LABELLING):
            self._store.upload(path, self._path(path.name))
            outputs.append(
                {'name': path.name, 'size': path.stat().st_size, 'sha256': file_sha256(path)}
            )
        content = json.loads((folder / LABELLING).read_text(encoding='utf-8'))
        fleet = {'made_by': MADE_BY, 'key': self._key, 'outputs': outputs, **facts}
        content['fleet'] = fleet
        if _claimant(self._store, self._name) != self._key:
            raise self._rivalled()
        self._write(LABELLING, content)
        self.end()
        done = find_result(self._store, self._name)
        if done is None or done.key != self._key:  # it began after we had looked
            raise self._rivalled()
        return done

    def _rivalled(self) -> StorageError:
        msg = f'Another run writes to {self._store.url}/{self._name}; let one end first.'
        return StorageError(msg, is_lasting=False)

    def end(self) -> None:
        """Take our claim away, now that there is a commit."""
        if _claimant(self._store, self._name) == self._key:
            self._store.remove([self._path(_CLAIM)])

    def fail(self, reason: str, facts: dict[str, Any]) -> None:
        """Record that a bag cannot be labelled, so that the next run need not try."""
        self.begin()
        fleet = {'made_by': MADE_BY, 'key': self._key, **facts}
        self._write(FAILED, {'reason': reason, 'fleet': fleet})
        self.end()

    def _marks(self) -> list[str]:
        return [self._path(mark) for mark in _MARKS]

    def _path(self, name: str) -> str:
        return f'{self._name}/{name}'

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self._store.write(self._path(name), json.dumps(content, indent=2).encode())


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a whole file."""
    hasher = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.hexdigest()
