# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which bags folders, patterns and lists name, and what their results are called."""

import os
from pathlib import Path

from bag_samples import simple_db3
from bag_samples import simple_mcap
from fleet_samples import bag_folder
from fleet_samples import jobs_of
from fleet_samples import labelling
import pytest

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.fleet.inputs import find_inputs
from hyperseg_ros.fleet.label import fleet_label_command
from hyperseg_ros.fleet.places import check_apart
from hyperseg_ros.fleet.storage import Store


def _names(*sources: Path | str) -> list[str]:
    return [bag.name for bag in find_inputs([str(source) for source in sources]).bags]


@pytest.fixture
def drives(tmp_path: Path) -> Path:
    folder = tmp_path / 'drives'
    bag_folder(folder / '2026' / 'monday' / 'run_1')
    bag_folder(folder / '2026' / 'tuesday' / 'run_1')
    simple_mcap(folder / 'single.mcap')
    simple_db3(folder / 'old.db3')
    return folder


def test_folders_are_searched_at_any_depth(drives: Path) -> None:
    names = ['2026/monday/run_1', '2026/tuesday/run_1', 'old', 'single']
    assert _names(drives) == names
    assert _names(f'{drives}/') == names
    assert _names(f'file://{drives}') == names


def test_one_bag_is_called_as_it_is(drives: Path) -> None:
    assert _names(drives / 'single.mcap') == ['single']
    assert _names(drives / '2026' / 'monday' / 'run_1') == ['run_1']


def test_names_of_a_pattern_begin_where_it_does(drives: Path) -> None:
    assert _names(f'{drives}/2026/*/run*') == ['monday/run_1', 'tuesday/run_1']
    assert _names(f'{drives}/*.mcap') == ['single']
    with pytest.raises(InputError, match=r'Nothing matches .*\*\.bag'):
        _names(f'{drives}/*.bag')


@pytest.mark.parametrize('name', ['run [1]', 'what?', 'a*b', '100 %', 'x#y', 'Über', '-x', 'a\nb'])
def test_names_may_hold_what_patterns_do(tmp_path: Path, name: str) -> None:
    bag_folder(tmp_path / 'in' / name / 'bag')
    assert _names(tmp_path / 'in') == [f'{name}/bag']
    assert _names(tmp_path / 'in' / name) == ['bag']
    check_apart([str(tmp_path / 'in' / name)], Store(str(tmp_path / 'out')))


def test_relative_places_are_those_of_this_folder(
    drives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(drives / '2026')
    assert _names('.') == ['monday/run_1', 'tuesday/run_1']
    assert _names('../*.mcap') == _names('..//single.mcap') == ['single']
    assert _names('*/run_1') == ['monday/run_1', 'tuesday/run_1']
    with pytest.raises(ConfigError, match='lie in one another'):
        check_apart(['..'], Store('.'))


def test_list_names_places_relative_to_itself(drives: Path) -> None:
    text = f'# what we drove\r\n\r\n single.mcap\r\n{drives}/2026\r\n'
    (drives / 'all.txt').write_text(text)
    assert _names(drives / 'all.txt') == ['monday/run_1', 'single', 'tuesday/run_1']
    with pytest.raises(InputError, match='There is no list'):
        _names(drives / 'none.txt')


def test_list_may_begin_with_a_mark_and_name_what_is_no_utf8(drives: Path) -> None:
    name = os.fsdecode(b'\xff.mcap')
    simple_mcap(drives / name)
    (drives / 'all.txt').write_bytes(b'\xef\xbb\xbfsingle.mcap\r\n\xff.mcap\r\n')
    assert _names(drives / 'all.txt') == ['single', name.removesuffix('.mcap')]


def test_results_among_the_inputs_of_a_list_are_refused(drives: Path) -> None:
    (drives / 'all.txt').write_text(f'{drives}/2026\n')
    words = [str(drives / 'all.txt'), str(drives / '2026' / 'out')]
    with pytest.raises(ConfigError, match='lie in one another'):
        fleet_label_command(*words, checkpoint='fast')
    assert not (drives / '2026' / 'out').exists()


def test_report_that_cannot_be_written_is_told_before_any_work(
    drives: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match='is a folder, expected a file'):
        fleet_label_command(str(drives), str(tmp_path / 'out'), report=tmp_path)
    assert not (tmp_path / 'out').exists()
    with pytest.raises(ConfigError, match='Nothing can be written to /proc'):
        fleet_label_command(str(drives), str(tmp_path / 'out'), report=Path('/proc/x.jsonl'))
    assert not list((tmp_path / 'out').iterdir())


def test_files_that_are_no_bags_are_passed_over_or_refused_by_name(drives: Path) -> None:
    (drives / 'README.md').write_text('')
    assert _names(f'{drives}/*') == ['2026/monday/run_1', '2026/tuesday/run_1', 'old', 'single']
    with pytest.raises(InputError, match=r'README.md is no bag'):
        _names(drives / 'README.md')
    with pytest.raises(InputError, match='Nothing matches'):
        _names(f'{drives}/*.md')


def test_bag_that_is_named_twice_is_there_once(drives: Path) -> None:
    assert _names(drives / 'single.mcap', drives / 'single.mcap') == ['single']


def test_two_inputs_of_one_name_are_refused_with_both(drives: Path) -> None:
    places = [drives / '2026' / day / 'run_1' for day in ('monday', 'tuesday')]
    with pytest.raises(ConfigError, match=r'monday/run_1 and .*tuesday/run_1 would both'):
        _names(*places)


def test_result_within_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'in').mkdir()
    simple_mcap(tmp_path / 'in' / 'run.mcap')
    bag_folder(tmp_path / 'in' / 'run' / 'inner')
    with pytest.raises(ConfigError, match='run/inner would lie in that of another bag, run'):
        _names(tmp_path / 'in')


def test_results_and_parts_of_ours_are_left_out(drives: Path) -> None:
    (bag_folder(drives / 'labelled') / 'labelling.json').write_text('{}')
    bag_folder(drives / 'half.parts' / '000000')
    bag_folder(drives / '.hidden' / 'x')
    found = find_inputs([str(drives)])
    assert len(found.bags) == 4
    assert found.num_results == 1
    with pytest.raises(InputError, match=r'There is no bag in .* but 1 labelled ones'):
        _names(drives / 'labelled')


def test_missing_and_empty_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'There is nothing at .*nowhere'):
        _names(tmp_path / 'nowhere')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(InputError, match=r'There is no bag in .*empty'):
        _names(tmp_path / 'empty')


def test_link_back_to_its_folder_ends(drives: Path) -> None:
    (drives / 'loop').symlink_to(drives)
    assert 'single' in _names(drives)


@pytest.mark.parametrize('name', ['../up', 'a/../../b', 'a//b', './a', ''])
def test_no_name_leads_out_of_a_store(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match='is no name below'):
        Store(str(tmp_path)).path(name)


@pytest.mark.parametrize(
    ('source', 'out'),
    [
        ('in', 'in/out'), ('in', 'in'), ('in/deep', 'in'), ('in/*/x', 'in/out'),
        ('in', 'link'), ('s3://bucket/in', 's3://bucket/in/out'), ('s3://bucket', 's3://bucket/x'),
    ],
)  # fmt: skip
def test_results_among_inputs_are_refused(tmp_path: Path, source: str, out: str) -> None:
    (tmp_path / 'in' / 'deep').mkdir(parents=True)
    (tmp_path / 'link').symlink_to(tmp_path / 'in')
    places = [item if '://' in item else f'{tmp_path}/{item}' for item in (source, out)]
    with pytest.raises(ConfigError, match='lie in one another'):
        check_apart(places[:1], Store(places[1]))


def test_places_beside_each_other_are_apart(tmp_path: Path) -> None:
    check_apart([f'{tmp_path}/in', f'{tmp_path}/in/*.mcap'], Store(f'{tmp_path}/in-labelled'))
    check_apart(['s3://bucket/in'], Store(str(tmp_path)))


def test_unknown_storage_and_no_bucket_are_told() -> None:
    with pytest.raises(ConfigError, match='nosuch://x cannot be used'):
        Store('nosuch://x')
    with pytest.raises(ConfigError, match=r'names no bucket; write e.g. s3://bucket/folder'):
        Store('s3://')


def test_key_follows_content_and_options_alone(drives: Path, tmp_path: Path) -> None:
    asked = labelling(tmp_path, str(tmp_path / 'out'))
    before = {job.bag.name: job.key for job in jobs_of(str(drives), asked)}
    bag = drives / '2026' / 'monday' / 'run_1' / 'run_1_0.mcap'
    bag.touch()
    assert {job.bag.name: job.key for job in jobs_of(str(drives), asked)} == before
    changed = labelling(tmp_path, str(tmp_path / 'out'), precision='bf16')
    assert not {job.key for job in jobs_of(str(drives), changed)} & set(before.values())
    content = bytearray(bag.read_bytes())
    content[len(content) // 2] ^= 1
    bag.write_bytes(content)
    after = {job.bag.name: job.key for job in jobs_of(str(drives), asked)}
    assert [name for name in before if after[name] != before[name]] == ['2026/monday/run_1']
