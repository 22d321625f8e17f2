# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags among files and folders: which there are, and what their results are called."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.metadata import METADATA

ENDINGS = ('.mcap', '.db3', '.bag', '.bag.active', '.mcap.active', '.mcap.zstd', '.db3.zstd')
LABELLING = 'labelling.json'
"""In a bag that we made: what it was made of, and how."""


def bag_files(folder: Path) -> list[Path]:
    """Return the files of a folder that are named as bags are, in order of their numbers."""
    found = [
        path
        for path in folder.iterdir()
        if path.name.lower().endswith(ENDINGS) and not path.name.startswith('.') and path.is_file()
    ]
    return sorted(found, key=_natural)


def _natural(path: Path) -> tuple[str, int, str]:
    """Order `run_10` after `run_9`."""
    stem = bag_name(path)
    start, separator, number = stem.rpartition('_')
    return (start, int(number), path.name) if separator and number.isdecimal() else (
        stem, -1, path.name,
    )  # fmt: skip


def find_bags(sources: list[Path]) -> tuple[list[Path], list[Path]]:
    """List the bags that paths name: bags themselves, or folders of bags.

    Returns:
        The bags, each once, and those left out of folders as they are our own results.

    Raises:
        FileNotFoundError: If a path is not there.
        InputError: If a folder holds no bag.
    """
    bags: list[Path] = []
    results: list[Path] = []
    for path in sources:
        if not path.exists():
            msg = f'No bag at {path}.'
            raise FileNotFoundError(msg)
        if path.is_file() or _is_bag_folder(path):
            bags.append(path)
            continue
        inner = _inner_bags(path)
        if not inner:
            msg = f'{path} is no bag (no {METADATA}, no .mcap, .db3 or .bag) and holds none.'
            raise InputError(msg)
        results += [item for item in inner if (item / LABELLING).is_file()]
        bags += [item for item in inner if item not in results]
    unique = {item.resolve(): item for item in reversed(bags)}
    return list(reversed(unique.values())), results


def _inner_bags(folder: Path) -> list[Path]:
    found = bag_files(folder)
    for item in sorted(folder.iterdir()):
        if item.is_dir() and not item.name.startswith('.'):
            found += [item] if _is_bag_folder(item) else bag_files(item)
    return found


def _is_bag_folder(path: Path) -> bool:
    return (path / METADATA).is_file()


def bag_name(path: Path) -> str:
    """Return a bag's name: of a file, without the ending that bags have; nothing else is cut."""
    name = _whole_name(path)
    if path.is_dir():
        return name
    ending = max((e for e in ENDINGS if name.lower().endswith(e)), key=len, default='')
    return name[: len(name) - len(ending)] or name


def _whole_name(path: Path) -> str:
    """Return the last name of a path, also of `.` and `..`, which have none of their own."""
    return path.name if path.name not in {'', '..'} else path.resolve().name


def result_names(bags: list[Path]) -> dict[Path, str]:
    """Give every bag's result a name of its own.

    Bags with the same name get their ending back (`log.mcap`, `log.db3`), or their folders' names
    before theirs: `x/log` and `y/log` become `x_log` and `y_log`.
    """
    names = {bag: bag_name(bag) for bag in bags}
    longer: list[Callable[[Path], str]] = [_whole_name]
    deepest = max((len(bag.absolute().parts) for bag in bags), default=1)
    longer += [
        lambda bag, depth=depth: '_'.join(bag.absolute().parts[1:][-depth:])  # type: ignore[misc]
        for depth in range(2, deepest + 1)
    ]
    for name_of in longer:
        counts = Counter(names.values())
        if len(counts) == len(bags):
            break
        names = {bag: name_of(bag) if counts[name] > 1 else name for bag, name in names.items()}
    counts = Counter(names.values())
    return {
        bag: name if counts[name] == 1 else f'{name}_{index}'
        for index, (bag, name) in enumerate(names.items())
    }
