# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bags that folders, patterns, lists and URLs name, without opening one."""

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from pathlib import PurePosixPath

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.bags.files import ENDINGS
from hyperseg_ros.bags.files import LABELLING
from hyperseg_ros.bags.files import bag_name
from hyperseg_ros.bags.metadata import METADATA
from hyperseg_ros.bags.parts import file_digest
from hyperseg_ros.fleet.places import pattern_base
from hyperseg_ros.fleet.storage import Store
from hyperseg_ros.fleet.storage import StoredFile
from hyperseg_ros.fleet.storage import is_unfinished

_SIDECARS = ('-wal', '-journal')
_LIST = '.txt'
_MAX_LIST_BYTES = 64 << 20
_READERS = 8


@dataclass(frozen=True, slots=True)
class BagInput:
    """One bag: where it lies and what its files are."""

    name: str
    """Of its result, below OUT, with `/`."""
    url: str
    """The folder that `files` are relative to."""
    folder: str
    """Of a bag that is a folder, its name; '' for a single file."""
    files: tuple[StoredFile, ...]

    @property
    def size(self) -> int:
        """All files together [bytes]."""
        return sum(file.size for file in self.files)

    @property
    def place(self) -> str:
        """Where it lies, for people."""
        return self.url if self.folder else f'{self.url.rstrip("/")}/{self.files[0].name}'


@dataclass(frozen=True, slots=True)
class FoundBags:
    """What the sources name."""

    bags: list[BagInput]
    num_results: int
    """Labelled bags of ours among them, which are left out."""


def find_inputs(sources: list[str]) -> FoundBags:
    """List the bags that sources name: folders at any depth, bags, patterns, lists (.txt).

    Raises:
        ConfigError: If two bags would have results of one name.
        InputError: If a source is not there, or none holds a bag.
        StorageError: If a storage cannot be read.
    """
    bags: dict[str, BagInput] = {}
    num_results = 0
    for source in listed(sources):
        found, results = _bags_at(source)
        num_results += results
        for bag in found:
            bags.setdefault(bag.place, bag)
    by_name: dict[str, BagInput] = {}
    for bag in bags.values():
        other = by_name.setdefault(bag.name, bag)
        if other is not bag:
            msg = (
                f'{other.place} and {bag.place} would both be labelled to {bag.name}; '
                f'rename one, or label them to different places.'
            )
            raise ConfigError(msg)
    _check_nested(list(by_name))
    if not by_name:
        labelled = f' but {num_results} labelled ones' if num_results else ''
        msg = f'There is no bag in {" ".join(sources)}{labelled} ({", ".join(ENDINGS[:3])}).'
        raise InputError(msg)
    return FoundBags(sorted(by_name.values(), key=lambda bag: bag.name), num_results)


def with_digests(bags: list[BagInput]) -> list[BagInput]:
    """Replace the times of local files by digests: a copy is the same bag, a change is not.

    Of files beyond 64 MB the digest is of samples (`hyperseg_ros.bags.parts.file_digest`).
    """
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(_with_digests, bags))


def _with_digests(bag: BagInput) -> BagInput:
    store = Store(bag.url)
    if not store.is_local:
        return bag
    files = [replace(f, tag=_digest(store.local_path(f.name))) for f in bag.files]
    return replace(bag, files=tuple(files))


def _digest(path: Path) -> str:
    """Return a file's digest; of one that cannot be read why, so that its bag fails alone."""
    try:
        return file_digest(path)
    except OSError as error:
        return f'{error.strerror}'


def listed(sources: Sequence[str]) -> Iterator[str]:
    """Yield the sources, and instead of a list what its lines name, relative to its folder.

    Raises:
        InputError: If there is no such list.
        StorageError: If it cannot be read.
    """
    for source in sources:
        if not source.lower().endswith(_LIST):
            yield source
            continue
        folder, _, name = source.rpartition('/')
        content = Store(folder or ('/' if source.startswith('/') else '.')).read(
            name, _MAX_LIST_BYTES
        )
        if content is None:
            msg = f'There is no list {source}.'
            raise InputError(msg)
        # Names of files are bytes; editors elsewhere begin with a mark.
        for line in content.decode('utf-8-sig', errors='surrogateescape').splitlines():
            entry = line.strip()
            if not entry or entry.startswith('#'):
                continue
            is_whole = '://' in entry or entry.startswith(('/', '~')) or not folder
            yield entry if is_whole else f'{folder}/{entry}'


def _bags_at(source: str) -> tuple[list[BagInput], int]:
    base = pattern_base(source)
    if base is not None:
        stores = [Store(url) for url in Store(source).matches()]
        # What else a pattern matches, a README for one, is passed over as it is in folders.
        places = [store for store in stores if _is_bag(store.url) or store.kind() != 'file']
        found = [_bags_of(store, Store(base).url) for store in places]
        if not found:
            msg = f'Nothing matches {source}.'
            raise InputError(msg)
    else:
        found = [_bags_of(Store(source), None, named=source)]
    return [bag for bags, _ in found for bag in bags], sum(number for _, number in found)


def _bags_of(store: Store, base: str | None, *, named: str = '') -> tuple[list[BagInput], int]:
    """List the bags at a place; their names are relative to `base`, or to the place."""
    kind = store.kind()
    if not kind:
        msg = f'There is nothing at {named or store.url}.'
        raise InputError(msg)
    if kind == 'file':
        if not _is_bag(store.url):
            msg = f'{store.url} is no bag ({", ".join(ENDINGS[:3])}), folder or list ({_LIST}).'
            raise InputError(msg)
        folder, _, name = store.url.rpartition('/')
        siblings = [f'{name}{ending}' for ending in ('', *_SIDECARS)]
        beside = Store(folder)
        infos = [info for info in map(beside.info, siblings) if info is not None]
        own = _relative(folder, base) if base is not None else ''
        return [_single(beside.url, own, infos)], 0
    start = _relative(store.url, base) if base is not None else ''
    return _bags_among(store, store.files(), start)


def _is_bag(url: str) -> bool:
    return url.lower().endswith(ENDINGS)


def _relative(url: str, base: str) -> str:
    return url[len(base) :].strip('/')


def _bags_among(store: Store, files: list[StoredFile], start: str) -> tuple[list[BagInput], int]:
    by_folder: dict[str, dict[str, StoredFile]] = defaultdict(dict)
    for file in files:
        folder, _, name = file.name.rpartition('/')
        by_folder[folder][name] = file
    bags: list[BagInput] = []
    num_results = 0
    for folder, inner in sorted(by_folder.items()):
        place = f'{store.url.rstrip("/")}/{folder}' if folder else store.url
        if _is_passed_over(folder):
            continue
        if LABELLING in inner:
            num_results += 1
        elif METADATA in inner:
            whole = tuple(replace(file, name=name) for name, file in sorted(inner.items()))
            last = PurePosixPath(place).name
            name = '/'.join(part for part in (start, folder) if part) or last
            bags.append(BagInput(name, place, last, whole))
        else:
            bags += _singles(place, '/'.join(part for part in (start, folder) if part), inner)
    return bags, num_results


def _is_passed_over(folder: str) -> bool:
    """Whether a folder lies in the parts of a bag that is being labelled, or is hidden."""
    parts = folder.split('/')
    return any(part.endswith('.parts') or part.startswith('.') for part in parts)


def _singles(place: str, folder: str, inner: dict[str, StoredFile]) -> Iterator[BagInput]:
    for name, file in sorted(inner.items()):
        hidden = name.startswith('.') or is_unfinished(name)
        if hidden or not name.lower().endswith(ENDINGS):
            continue
        beside = [inner[f'{name}{e}'] for e in _SIDECARS if f'{name}{e}' in inner]
        files = [replace(f, name=PurePosixPath(f.name).name) for f in (file, *beside)]
        yield _single(place, folder, files)


def _single(url: str, folder: str, files: list[StoredFile]) -> BagInput:
    name = bag_name(Path(files[0].name))
    return BagInput(f'{folder}/{name}' if folder else name, url, '', tuple(files))


def _check_nested(names: list[str]) -> None:
    """Refuse a result that would lie in the folder of another."""
    known = set(names)
    for name in names:
        inside = [str(p) for p in PurePosixPath(name).parents if str(p) in known]
        if inside:
            msg = f'The result {name} would lie in that of another bag, {inside[0]}; rename one.'
            raise ConfigError(msg)
