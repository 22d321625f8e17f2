# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results in a store: whole and committed, or not there, at whatever step their maker ends."""

from collections.abc import Iterator
import json
from pathlib import Path
import threading
import time
from typing import Any

import cv2
from fleet_samples import bag_folder
from fleet_samples import jobs_of
from fleet_samples import labelling
import pytest

from hyperseg_ros.bags.label import bag_label_command
from hyperseg_ros.fleet.commit import Publication
from hyperseg_ros.fleet.commit import file_sha256
from hyperseg_ros.fleet.commit import find_result
from hyperseg_ros.fleet.commit import find_results
from hyperseg_ros.fleet.job import Job
from hyperseg_ros.fleet.label import _given_up
from hyperseg_ros.fleet.staging import held
from hyperseg_ros.fleet.staging import sweep
from hyperseg_ros.fleet.storage import StorageError
from hyperseg_ros.fleet.storage import Store
from hyperseg_ros.fleet.worker import label_one


class _Killed(BaseException):
    """What nobody catches: the process is gone."""


@pytest.fixture(autouse=True)
def _own_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers bound their libraries' threads for good; tests share a process."""
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    bag_folder(tmp_path / 'in' / 'monday' / 'run')
    return jobs_of(str(tmp_path / 'in'), labelling(tmp_path, str(tmp_path / 'out')))[0]


def _files(folder: Path) -> dict[str, bytes]:
    """Return contents by name; of labelling.json what does not tell how long it took."""
    found = {}
    for path in folder.rglob('*'):
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    for name, content in found.items():
        if name.endswith('labelling.json'):
            plain = json.loads(content)
            del plain['fleet']['seconds']
            found[name] = json.dumps(plain).encode()
    return found


def test_result_is_that_of_bag_label_with_its_commit(job: Job, tmp_path: Path) -> None:
    outcome = label_one(job)
    assert (outcome.status, outcome.num_labelled) == ('labelled', 3), outcome
    result = find_results(Store(str(tmp_path / 'out')))['monday/run']
    assert result.key == job.key
    alone = tmp_path / 'alone' / 'run'
    assert bag_label_command(tmp_path / 'in/monday/run', alone, checkpoint='fast') == 0
    ours = tmp_path / 'out' / 'monday' / 'run'
    assert (ours / 'run.mcap').read_bytes() == (alone / 'run.mcap').read_bytes()
    assert (ours / 'metadata.yaml').read_bytes() == (alone / 'metadata.yaml').read_bytes()
    assert {path.name for path in ours.iterdir()} == {path.name for path in alone.iterdir()}
    content = json.loads((ours / 'labelling.json').read_text())
    assert sum(content['class_pixels'].values()) == 3 * 48 * 64
    assert content['images'] == {'/cam/image_raw': {'labelled': 3, 'dropped': 0}}
    assert not list((tmp_path / 'scratch').iterdir())


def test_killed_at_any_step_leaves_nothing_half_and_the_next_run_ends_alike(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path / 'out'))
    label_one(job)
    wanted = _files(tmp_path / 'out')
    # The same masks for another reason, to be replaced.
    other = labelling(tmp_path, job.labelling.out, topics=('/cam/image_raw',))
    (rival,) = jobs_of(str(tmp_path / 'in'), other)
    steps = 0
    ask = Store._ask

    def dies_at(step: int) -> Any:
        def counted(self: Store, verb: str, operation: Any) -> Any:
            nonlocal steps
            steps += 1
            if verb == 'write' and steps == step:  # half of it is written
                unfinished = tmp_path / 'out' / 'monday' / 'run' / '.run.mcap.unfinished'
                unfinished.parent.mkdir(parents=True, exist_ok=True)
                unfinished.write_bytes(b'half')
            if steps == step:
                raise _Killed
            return ask(self, verb, operation)

        return counted

    for step in range(1, 100):
        assert label_one(rival).status == 'labelled'
        steps = 0
        monkeypatch.setattr(Store, '_ask', dies_at(step))
        try:
            label_one(job)
        except _Killed:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(Store, '_ask', ask)
        for result in find_results(store).values():  # committed: then all of it is there
            assert result.key in {job.key, rival.key}
            for file in result.files:
                assert file_sha256(tmp_path / 'out/monday/run' / file['name']) == file['sha256']
        assert label_one(job).status == 'labelled'
        assert _files(tmp_path / 'out') == wanted
    assert step > 10


def test_what_is_cut_off_or_missing_is_no_result(job: Job, tmp_path: Path) -> None:
    store, folder = Store(str(tmp_path / 'out')), tmp_path / 'out' / 'monday' / 'run'
    label_one(job)
    whole = {name: (folder / name).read_bytes() for name in ('run.mcap', 'labelling.json')}
    for name, content in whole.items():
        for kept in (0, len(content) // 2, len(content) - 1):
            (folder / name).write_bytes(content[:kept])
            assert not find_results(store), (name, kept)
        (folder / name).unlink()
        assert not find_results(store), name
        (folder / name).write_bytes(content)
    assert find_results(store)


@pytest.mark.parametrize('text', ['', '[]', '{"fleet": 3}', '{"fleet": {"key": "x"}}', '[' * 9999])
def test_foreign_commits_are_no_results(tmp_path: Path, text: str) -> None:
    (tmp_path / 'x').mkdir()
    (tmp_path / 'x' / 'labelling.json').write_text(text)
    assert find_results(Store(str(tmp_path))) == {}


STRAY = {'url': 's3://in/x', 'folder': '../..', 'files': [{'name': 'x', 'size': 1, 'tag': ''}]}
BROKEN: list[tuple[str, Any]] = [
    ('fleet.input', STRAY),
    ('labelled', 'three'), ('labelled', -1), ('labelled', True), ('problems', 7),
    ('images', None), ('images', []), ('images', {'/a': 3}), ('images', {'/a': {'dropped': 'x'}}),
    ('class_pixels', [1]), ('class_pixels', {'x': 1}), ('class_pixels', {'3': 0.5}),
    ('options', None), ('fleet.key', 3), ('fleet.input', None), ('fleet.input', {'url': 1}),
    ('fleet.outputs', []),
    ('fleet.outputs', [{'name': '../x', 'size': 1, 'sha256': ''}]),
    ('fleet.outputs', [{'name': 'run.mcap', 'size': '1', 'sha256': ''}]),
]  # fmt: skip


@pytest.mark.parametrize(('place', 'value'), BROKEN)
def test_commits_that_somebody_edited_are_none(
    job: Job, tmp_path: Path, place: str, value: Any
) -> None:
    asked = Store(str(tmp_path / 'out'))
    folder = tmp_path / 'out' / 'monday' / 'run'
    folder.mkdir(parents=True)
    files = [{'name': 'run.mcap', 'size': 1, 'tag': 'x', 'sha256': 'x'}]
    source = {'url': '/in/run', 'folder': 'run', 'files': files}
    content: dict[str, Any] = {
        'labelled': 1, 'problems': [], 'images': {'/a': {'dropped': 0}}, 'class_pixels': {'3': 9},
        'options': {}, 'fleet': {'key': job.key, 'outputs': files, 'input': source},
    }  # fmt: skip
    (folder / 'run.mcap').write_bytes(b'x')
    (folder / 'labelling.json').write_text(json.dumps(content))
    assert find_results(asked)
    assert find_result(asked, 'monday/run') is not None
    *outer, last = place.split('.')
    inner = content[outer[0]] if outer else content
    for changed in ({**inner, last: value}, {k: v for k, v in inner.items() if k != last}):
        whole = {**content, outer[0]: changed} if outer else changed
        (folder / 'labelling.json').write_text(json.dumps(whole))
        assert not find_results(asked)
        assert find_result(asked, 'monday/run') is None


def test_result_of_another_run_is_taken_as_it_is(job: Job, tmp_path: Path) -> None:
    assert label_one(job).status == 'labelled'
    commit = tmp_path / 'out' / 'monday' / 'run' / 'labelling.json'
    before = commit.stat().st_mtime_ns
    again = label_one(job)
    assert (again.status, again.num_labelled) == ('labelled', 3)
    assert commit.stat().st_mtime_ns == before


def test_two_runs_with_other_options_do_not_mix(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = labelling(tmp_path, job.labelling.out, topics=('/cam/image_raw',))
    (rival,) = jobs_of(str(tmp_path / 'in'), other)
    upload, begun = Store.upload, []

    def upload_beside_a_rival(self: Store, source: Path, name: str) -> None:
        upload(self, source, name)
        if not begun:
            begun.append(name)
            Publication(self, 'monday/run', rival.key).begin()

    monkeypatch.setattr(Store, 'upload', upload_beside_a_rival)
    outcome = label_one(job)
    assert outcome.status == 'retry'
    assert 'Another run writes to' in outcome.reason
    assert not find_results(Store(job.labelling.out))


def test_commit_beside_the_claim_of_another_run_does_not_count(job: Job) -> None:
    store = Store(job.labelling.out)
    label_one(job)
    claim = json.dumps({'fleet': {'key': 'another', 'made_by': 'hyperseg fleet label'}})
    store.write('monday/run/unfinished.json', claim.encode())
    assert find_result(store, 'monday/run') is None
    assert not find_results(store)
    Publication(store, 'monday/run', job.key).end()
    assert store.info('monday/run/unfinished.json') is not None
    Publication(store, 'monday/run', 'another').end()
    assert find_result(store, 'monday/run') is not None


def test_rival_that_begins_during_the_commit_is_noticed(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, begun = Store.write, []

    def write_beside_a_rival(self: Store, name: str, content: bytes) -> None:
        write(self, name, content)
        if name.endswith('labelling.json') and not begun:
            begun.append(name)
            Publication(self, 'monday/run', job.key).begin()  # the same, on another machine

    monkeypatch.setattr(Store, 'write', write_beside_a_rival)
    outcome = label_one(job)
    assert outcome.status == 'retry', outcome
    assert 'Another run writes to' in outcome.reason
    assert label_one(job).status == 'labelled'
    assert find_results(Store(job.labelling.out))


def test_bag_that_is_given_up_keeps_what_another_run_has_committed(job: Job) -> None:
    label_one(job)
    outcome = _given_up(job, 'its worker was killed')
    assert (outcome.status, outcome.num_labelled) == ('done', 3)
    assert not find_results(Store(job.labelling.out))['monday/run'].is_failed


@pytest.mark.parametrize('theirs', ['notes.txt', 'inner/run.mcap'])
def test_what_others_put_into_a_result_is_never_removed(
    job: Job, tmp_path: Path, theirs: str
) -> None:
    label_one(job)
    path = tmp_path / 'out' / 'monday' / 'run' / theirs
    path.parent.mkdir(exist_ok=True)
    path.write_text('mine')
    other = labelling(tmp_path, job.labelling.out, topics=('/cam/image_raw',))
    (rival,) = jobs_of(str(tmp_path / 'in'), other)
    outcome = label_one(rival)
    assert outcome.status == 'failed'
    assert f'{theirs} was not made by' in outcome.reason
    assert path.read_text() == 'mine'
    assert find_results(Store(job.labelling.out))['monday/run'].key == job.key


def test_bags_with_the_same_content_do_not_wait_for_each_other(tmp_path: Path) -> None:
    for name in ('a', 'b'):
        bag_folder(tmp_path / 'in' / name / 'run')
    first, second = jobs_of(str(tmp_path / 'in'), labelling(tmp_path, str(tmp_path / 'out')))
    assert first.key == second.key
    assert first.scratch_key != second.scratch_key


def test_scratch_that_its_holder_removes_is_made_anew_for_the_next(tmp_path: Path) -> None:
    entered: list[bool] = []

    def wait_and_enter() -> None:
        with held(tmp_path, 'a' * 64) as folder:
            entered.append((folder / 'lock').is_file() and not (folder / 'input').exists())

    with held(tmp_path, 'a' * 64) as folder:
        (folder / 'input').mkdir()
        waiting = [threading.Thread(target=wait_and_enter) for _ in range(3)]
        for thread in waiting:
            thread.start()
        time.sleep(0.5)
        assert not entered
    for thread in waiting:
        thread.join()
    assert entered == [True] * 3
    assert not list(tmp_path.iterdir())


def test_bag_that_is_a_dangling_link_fails_alone(job: Job, tmp_path: Path) -> None:
    (tmp_path / 'in' / 'gone.mcap').symlink_to(tmp_path / 'nowhere')
    outcomes = [label_one(item) for item in jobs_of(str(tmp_path / 'in'), job.labelling)]
    assert [(o.name, o.status) for o in outcomes if o.status == 'labelled'] == [
        ('monday/run', 'labelled')
    ]
    assert len(outcomes) == 2


def test_what_is_not_ours_is_never_removed(job: Job, tmp_path: Path) -> None:
    theirs = tmp_path / 'out' / 'monday' / 'run' / 'notes.txt'
    theirs.parent.mkdir(parents=True)
    theirs.write_text('mine')
    outcome = label_one(job)
    assert outcome.status == 'failed'
    assert 'was not made by `hyperseg fleet label`; move it' in outcome.reason
    assert [path.name for path in theirs.parent.iterdir()] == ['notes.txt']


def test_corrupt_bag_leaves_its_reason_alone(job: Job, tmp_path: Path) -> None:
    (tmp_path / 'in/monday/run/run_0.mcap').write_bytes(b'nothing of a bag')
    (again,) = jobs_of(str(tmp_path / 'in'), job.labelling)
    outcome = label_one(again)
    assert outcome.status == 'failed'
    assert 'run_0.mcap' in outcome.reason
    result = find_results(Store(str(tmp_path / 'out')))['monday/run']
    assert result.is_failed
    assert result.content['reason'] == outcome.reason
    assert set(_files(tmp_path / 'out')) == {'monday/run/failed.json'}


def test_bag_that_changes_meanwhile_is_not_committed(job: Job, tmp_path: Path) -> None:
    bag_folder(tmp_path / 'other' / 'run', count=4)
    for path in (tmp_path / 'other' / 'run').iterdir():
        path.replace(tmp_path / 'in/monday/run' / path.name)
    outcome = label_one(job)
    assert outcome.status == 'retry'
    assert 'has changed since it was listed' in outcome.reason
    assert not find_results(Store(str(tmp_path / 'out')))


def test_full_scratch_is_told_before_anything_is_read(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hyperseg_ros.fleet import staging

    monkeypatch.setattr(staging, '_SPARE_BYTES', 1 << 60)
    outcome = label_one(job)
    assert outcome.status == 'retry'
    assert 'name another folder: --scratch' in outcome.reason


def test_scratch_of_the_dead_is_removed_and_of_the_living_not(tmp_path: Path) -> None:
    keys = ('a' * 64, 'b' * 64)
    with pytest.raises(RuntimeError), held(tmp_path, keys[0]):
        raise RuntimeError
    (tmp_path / 'theirs').mkdir()
    with held(tmp_path, keys[1]):
        sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {*keys, 'theirs'}
        sweep(tmp_path, older_than_s=0.0)
        assert {path.name for path in tmp_path.iterdir()} == {keys[1], 'theirs'}


def test_storage_that_refuses_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(StorageError, match='Cannot make') as caught:
        Store(str(tmp_path / 'file')).write('x', b'')
    assert caught.value.is_lasting
    (tmp_path / 'long').write_text('long')
    with pytest.raises(StorageError, match='more than 3 bytes'):
        Store(str(tmp_path)).read('long', 3)
