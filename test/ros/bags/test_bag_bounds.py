# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What strangers' bags may not do: take memory, be lost among others, cost a user's files."""

import json
import logging
import os
from pathlib import Path
import tracemalloc
from typing import Any

from bag_samples import MASK
from bag_samples import FakeSegmenter
from bag_samples import Mcap
from bag_samples import simple_mcap
from bag_samples import write_metadata
import pytest

from hyperseg_core import InputError
from hyperseg_ros.bags import chunks
from hyperseg_ros.bags import label
from hyperseg_ros.bags import labeller
from hyperseg_ros.bags import mcap_file
from hyperseg_ros.bags.chunks import Chunk
from hyperseg_ros.bags.chunks import in_time_order
from hyperseg_ros.bags.files import bag_files
from hyperseg_ros.bags.files import result_names
from hyperseg_ros.bags.mask_stream import masks
from hyperseg_ros.bags.parts import MADE_BY
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.writer import BagWriter


@pytest.fixture(autouse=True)
def _fake_network(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(label, 'Segmenter', FakeSegmenter)
    caplog.set_level(logging.INFO)


def _label(*sources: Path, out: Path, **options: Any) -> int:
    return label.bag_label_command(*sources, out, **options)


def _count(out: Path) -> int:
    return len(list(masks(out, MASK)))


def test_chunks_that_overlap_do_not_stay_in_memory_for_a_few_of_their_bytes() -> None:
    def load(chunk: Chunk) -> Any:
        content = memoryview(bytes(8 << 20))
        return [(0, 1, content[:10]), (100 + chunk.offset, 1, content[10:20])]

    many = [Chunk(index, 8 << 20, 0, 1000) for index in range(30)]
    tracemalloc.start()
    found = sum(1 for _ in in_time_order(many, load))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == 60
    assert peak < 40 << 20


def test_messages_of_one_chunk_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chunks.MAX_MESSAGES > 100_000
    monkeypatch.setattr(mcap_file, 'MAX_MESSAGES', 2)
    simple_mcap(tmp_path / 'x.mcap', 5, use_chunking=True)
    with open_bag(tmp_path / 'x.mcap') as reader:
        assert sum(1 for _ in reader.messages(reader.connections)) == 2
        assert any('more than' in problem for problem in reader.problems)


@pytest.mark.parametrize('limit', [1, 20_000, 1 << 30])
def test_large_images_are_labelled_in_order_a_few_at_once(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labeller, '_DECODED_BYTES', limit)
    seen: list[int] = []

    class Counting(FakeSegmenter):
        def __call__(self, images: list[Any]) -> Any:
            seen.append(len(images))
            return super().__call__(images)

    monkeypatch.setattr(label, 'Segmenter', Counting)
    simple_mcap(tmp_path / 'x.mcap', 11)
    assert _label(tmp_path / 'x.mcap', out=tmp_path / 'out') == 0
    assert _count(tmp_path / 'out') == 11
    assert max(seen) == {1: 1, 20_000: 1, 1 << 30: 4}[limit]


def test_a_bag_called_dot_has_its_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'drive' / 'inner').mkdir(parents=True)
    simple_mcap(tmp_path / 'drive' / 'drive_0.mcap')
    write_metadata(tmp_path / 'drive', ['drive_0.mcap'])
    other = simple_mcap(tmp_path / 'other.mcap')
    monkeypatch.chdir(tmp_path / 'drive')
    assert _label(Path('.'), other, out=tmp_path / 'out') == 0
    assert sorted(os.listdir(tmp_path / 'out')) == ['drive', 'other']
    monkeypatch.chdir(tmp_path / 'drive' / 'inner')
    assert result_names([Path('..'), other]) == {Path('..'): 'drive', other: 'other'}


def test_endings_in_capitals_are_bags(tmp_path: Path) -> None:
    path = simple_mcap(tmp_path / 'RUN.MCAP')
    assert bag_files(tmp_path) == [path]
    assert result_names([path]) == {path: 'RUN'}


def test_what_is_no_bag_costs_itself_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / 'empty').mkdir()
    good = simple_mcap(tmp_path / 'good.mcap')
    sources = (tmp_path / 'nowhere', good, tmp_path / 'empty')
    assert _label(*sources, out=tmp_path / 'out') == 1
    assert _count(tmp_path / 'out' / 'good') == 3
    assert '1 of 3 bags' in caplog.text
    with pytest.raises(InputError, match='nowhere'):
        _label(tmp_path / 'nowhere', tmp_path / 'empty', out=tmp_path / 'out2')


def test_a_finished_bag_with_losses_is_no_success(tmp_path: Path) -> None:
    writer = Mcap()
    channel = writer.channel()
    writer.images(channel)
    writer.add(channel, 10**18, b'\0\1\0\0bad')
    path = writer.finish(tmp_path / 'x.mcap')
    out = tmp_path / 'out'
    assert _label(path, out=out) == 1
    assert _label(path, out=out, resume=True) == 1


def test_parts_of_a_user_are_neither_removed_nor_followed(tmp_path: Path) -> None:
    path = simple_mcap(tmp_path / 'x.mcap')
    ours = tmp_path / 'a.parts'
    ours.mkdir()
    (ours / 'provenance.json').write_text(json.dumps({'made_by': MADE_BY}))
    (ours / 'provenance.json.bak').write_text('mine')
    assert _label(path, out=tmp_path / 'a') == 2
    assert (ours / 'provenance.json.bak').read_text() == 'mine'
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'b.parts').symlink_to(tmp_path / 'elsewhere')
    assert _label(path, out=tmp_path / 'b') == 2
    assert (tmp_path / 'b.parts').is_symlink()
    assert not any((tmp_path / 'elsewhere').iterdir())


def test_topics_with_endless_names_are_told_in_short_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    channel = writer.channel('/' + 'n' * 50_000)
    writer.images(channel)
    writer.add(channel, 10**18, b'bad')
    path = writer.finish(tmp_path / 'x.mcap')
    assert _label(path, out=tmp_path / 'out') == 1
    assert max(len(record.getMessage()) for record in caplog.records) < 2000


def test_a_database_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match='Cannot write'):
        BagWriter(tmp_path / ('x' * 253), storage='sqlite3')
