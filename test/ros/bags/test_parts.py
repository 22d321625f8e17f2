# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is not ours is never removed; what of ours is half written never gets in the way."""

import json
from pathlib import Path

from bag_samples import MASK
from bag_samples import FakeSegmenter
from bag_samples import simple_db3
from bag_samples import simple_mcap
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_ros.bags import parts as parts_module
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.bags.labelling import label_bag
from hyperseg_ros.bags.mask_stream import masks
from hyperseg_ros.bags.parts import Parts
from hyperseg_ros.bags.parts import input_digest
from hyperseg_ros.bags.reader import open_bag

SEGMENTER = FakeSegmenter()


def _label(bag: Path, out: Path, *, resume: bool = False) -> int:
    report = label_bag(bag, out, SEGMENTER, LabelOptions(), resume=resume)  # type: ignore[arg-type]
    return report.labelled


@pytest.mark.parametrize('resume', [True, False])
@pytest.mark.parametrize('name', ['thesis.tex', '000000', 'provenance.json', 'provenance.txt'])
def test_a_folder_of_the_users_is_left_alone(name: str, resume: bool, tmp_path: Path) -> None:
    bag = simple_mcap(tmp_path / 'in.mcap')
    (tmp_path / 'out.parts').mkdir()
    mine = tmp_path / 'out.parts' / name
    mine.write_text('mine')
    with pytest.raises(ConfigError, match='is there and not ours'):
        _label(bag, tmp_path / 'out', resume=resume)
    assert mine.read_text() == 'mine'
    assert not (tmp_path / 'out').exists()


def test_a_file_of_the_users_is_left_alone(tmp_path: Path) -> None:
    bag = simple_mcap(tmp_path / 'in.mcap')
    (tmp_path / 'out.parts').write_text('mine')
    with pytest.raises(ConfigError, match='not ours'):
        _label(bag, tmp_path / 'out')
    assert (tmp_path / 'out.parts').read_text() == 'mine'


def test_files_that_were_put_into_our_folder_are_left_alone(tmp_path: Path) -> None:
    parts = Parts(tmp_path / 'out', {'input': 'other'}, resume=False)
    (parts.folder / 'notes.txt').write_text('mine')
    (parts.chunk(0)).mkdir()
    with pytest.raises(ConfigError, match=r'holds notes\.txt'):
        parts.remove()
    assert [item.name for item in sorted(parts.folder.iterdir())] == [
        'notes.txt',
        'provenance.json',
    ]


@pytest.mark.parametrize('resume', [True, False])
@pytest.mark.parametrize('length', [None, 0, 1, 40, -1])
def test_provenance_that_a_kill_cut_off_does_not_get_in_the_way(
    length: int | None, resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = simple_mcap(tmp_path / 'in.mcap')

    class KilledError(Exception):
        pass

    def killed(path: Path, text: str) -> None:
        if length is None:
            path.with_name(f'{path.name}.unfinished').write_text(text[:20])
        else:
            path.write_text(text[:length])
        raise KilledError

    with monkeypatch.context() as context:
        context.setattr(parts_module, 'write_whole', killed)
        with pytest.raises(KilledError):
            _label(bag, tmp_path / 'out')
    assert _label(bag, tmp_path / 'out', resume=resume) == 3
    assert not (tmp_path / 'out.parts').exists()


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / 'out.parts').mkdir()
    assert _label(simple_mcap(tmp_path / 'in.mcap'), tmp_path / 'out') == 3


def test_unfinished_work_of_another_run_is_replaced_without_resume_and_refused_with(
    tmp_path: Path,
) -> None:
    bag = simple_mcap(tmp_path / 'in.mcap')
    for name in ('a', 'b'):
        parts = Parts(tmp_path / name, {'input': 'other'}, resume=False)
        parts.chunk(0).mkdir()
    assert _label(bag, tmp_path / 'a') == 3
    with pytest.raises(ConfigError, match='another input, checkpoint or options'):
        _label(bag, tmp_path / 'b', resume=True)


def test_refused_bags_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / 'junk.mcap').write_bytes(b'junk')
    with pytest.raises(InputError):
        _label(tmp_path / 'junk.mcap', tmp_path / 'sub' / 'out')
    assert _label(simple_mcap(tmp_path / 'empty.mcap', 0), tmp_path / 'sub' / 'out') == 0
    assert sorted(item.name for item in tmp_path.iterdir()) == ['empty.mcap', 'junk.mcap']


def test_what_is_labelled_already_is_found_with_resume(tmp_path: Path) -> None:
    bag, out = simple_mcap(tmp_path / 'in.mcap'), tmp_path / 'out'
    assert _label(bag, out) == 3
    report = label_bag(bag, out, SEGMENTER, LabelOptions(), resume=True)  # type: ignore[arg-type]
    assert report.is_finished
    with pytest.raises(ConfigError, match='is there already'):
        _label(bag, out)
    other = simple_mcap(tmp_path / 'other.mcap', 4)
    with pytest.raises(ConfigError, match='of another input'):
        _label(other, out, resume=True)
    assert len(list(masks(out, MASK))) == 3


def _digest(path: Path) -> str:
    with open_bag(path) as reader:
        return input_digest(path, reader)


def test_the_digest_covers_the_middle_of_a_bag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simple_mcap(tmp_path / 'in.mcap', 30, chunk_size=10_000)
    whole_digest = _digest(path)
    content = path.read_bytes()
    middle = bytearray(content)
    middle[len(content) // 2] ^= 1
    path.write_bytes(middle)
    assert _digest(path) != whole_digest
    # Of larger files samples are read; their index is, whole.
    monkeypatch.setattr(parts_module, '_WHOLE_BYTES', 1000)
    monkeypatch.setattr(parts_module, '_EDGE_BYTES', 1000)
    path.write_bytes(content)
    sampled = _digest(path)
    simple_mcap(path, 31, chunk_size=10_000)
    assert _digest(path) != sampled


def test_the_digest_covers_the_times_of_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr(parts_module, '_pieces', lambda path, size: iter(()))
    path = simple_db3(tmp_path / 'in.db3')
    before = _digest(path)
    with sqlite3.connect(path) as database:
        database.execute('UPDATE messages SET timestamp = timestamp + 1 WHERE id = 2')
    assert _digest(path) != before


def test_provenance_says_who_made_it(tmp_path: Path) -> None:
    parts = Parts(tmp_path / 'out', {'input': 'x'}, resume=False)
    content = json.loads((parts.folder / 'provenance.json').read_text())
    assert content == {'made_by': 'hyperseg bag label', 'input': 'x'}
