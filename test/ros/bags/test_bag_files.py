# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from bag_samples import simple_mcap
from bag_samples import write_metadata
import pytest

from hyperseg_core import InputError
from hyperseg_ros.bags.files import LABELLING
from hyperseg_ros.bags.files import bag_files
from hyperseg_ros.bags.files import find_bags
from hyperseg_ros.bags.files import result_names


def _touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def _names(folder: Path, *names: str) -> list[str]:
    paths = _touch(folder, *names)
    return [result_names(paths)[path] for path in paths]


def test_only_the_endings_of_bags_are_cut(tmp_path: Path) -> None:
    names = _names(
        tmp_path,
        'run_0.5mps.mcap',
        'run_0.7mps.mcap',
        'a.bag.active',
        'b.db3.zstd',
        'c.d',
        '.mcap',
    )
    assert names == ['run_0.5mps', 'run_0.7mps', 'a', 'b', 'c.d', '.mcap']


def test_folders_keep_their_dotted_names(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ('drive_1.0', 'drive_1.1')]
    for folder in folders:
        folder.mkdir()
    assert list(result_names(folders).values()) == ['drive_1.0', 'drive_1.1']


def test_equal_names_get_their_endings_back_or_their_folders(tmp_path: Path) -> None:
    assert _names(tmp_path / 'a', 'log.mcap', 'log.db3', 'b.mcap') == ['log.mcap', 'log.db3', 'b']
    found = _names(tmp_path / 'c', 'x/log.mcap', 'y/log.mcap', 'z/other.mcap')
    assert found == ['x_log.mcap', 'y_log.mcap', 'other']
    found = _names(tmp_path / 'd', 'x/1/log.mcap', 'y/1/log.mcap')
    assert found == ['x_1_log.mcap', 'y_1_log.mcap']


def test_names_are_different_whatever_they_are(tmp_path: Path) -> None:
    names = ['x/log', 'y/log', 'x_log', 'y_log', 'q/x_log', 'q/x/log']
    found = _names(tmp_path, *(f'{name}.mcap' for name in names))
    assert len(set(found)) == len(names)


def test_files_of_a_folder_come_in_order_of_their_numbers(tmp_path: Path) -> None:
    _touch(tmp_path, 'x_10.mcap', 'x_9.mcap', 'x_2.mcap', '.hidden.mcap', 'notes.txt')
    assert [path.name for path in bag_files(tmp_path)] == ['x_2.mcap', 'x_9.mcap', 'x_10.mcap']


def test_bags_are_found_in_folders_once_and_our_results_are_not(tmp_path: Path) -> None:
    for name in ('one', 'two', 'labelled', 'labelled.parts/000000/bag'):
        (tmp_path / name).mkdir(parents=True)
        simple_mcap(tmp_path / name / 'x.mcap')
        write_metadata(tmp_path / name, ['x.mcap'])
    (tmp_path / 'labelled' / LABELLING).write_text('{}')
    _touch(tmp_path, 'three.bag', 'four.bag.active', 'five/five_0.db3.zstd')
    bags, results = find_bags([tmp_path, tmp_path / 'one', tmp_path / 'two' / '..' / 'two'])
    names = sorted(path.name for path in bags)
    assert names == ['five_0.db3.zstd', 'four.bag.active', 'one', 'three.bag', 'two']
    assert [path.name for path in results] == ['labelled']


def test_folders_without_bags_and_missing_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'is no bag .* and holds none'):
        find_bags([tmp_path])
    with pytest.raises(FileNotFoundError, match='No bag at'):
        find_bags([tmp_path / 'nope'])
