# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import fcntl
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import subprocess
import sys

import numpy as np
import pytest

from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference import cache
from hyperseg_core.inference import preparation
from hyperseg_core.inference.cache import CacheEntry
from hyperseg_core.inference.cache import cache_key
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task

pytest.importorskip('openvino')
BLOB = 'openvino.blob'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return cache.cache_root()


@pytest.fixture(scope='module')
def built_once(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache folder with one engine in it."""
    folder = tmp_path_factory.mktemp('built')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(folder))
        Segmenter(small_checkpoint, 'openvino', precision='f32')
    return folder


@pytest.fixture
def entry(root: Path, tmp_path: Path, built_once: Path) -> Path:
    """The one engine in a cache."""
    shutil.copytree(built_once, tmp_path, dirs_exist_ok=True)
    (entry,) = root.iterdir()
    return entry


def answer(checkpoint: Path) -> np.ndarray:
    frame = DriveScene(3, height=128, width=192).frame(1.0).image
    return Segmenter(checkpoint, 'openvino', precision='f32')(frame).class_ids


def refuse(*_: object, **__: object) -> None:
    raise AssertionError('built, or checked, again')


def test_cached_engine_is_neither_compiled_nor_checked_again(
    entry: Path, small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, '_check', refuse)
    monkeypatch.setattr(cache, '_write_regular', refuse)
    answer(small_checkpoint)
    assert json.loads((entry / 'manifest.json').read_text())['parity']['agreement'] >= 0.999


@pytest.mark.usefixtures('entry')
def test_robot_with_a_built_engine_runs_without_pytorch(small_checkpoint: Path) -> None:
    code = """
import sys
from hyperseg_core import Segmenter
Segmenter(sys.argv[1], 'openvino', precision='f32')
assert 'torch' not in sys.modules
"""
    subprocess.run([sys.executable, '-c', code, str(small_checkpoint)], check=True, timeout=60)


def damage(entry: Path, kind: str) -> None:
    blob, manifest = entry / BLOB, entry / 'manifest.json'
    if kind == 'truncated':
        blob.write_bytes(blob.read_bytes()[:-1000])
    elif kind == 'foreign':
        blob.write_bytes(b'not an engine')
    elif kind == 'missing':
        blob.unlink()
    elif kind == 'unknown file':
        (entry / 'more.engine').write_bytes(b'from elsewhere')
    elif kind == 'link':
        blob.rename(entry.parent / 'elsewhere')
        blob.symlink_to(entry.parent / 'elsewhere')
    elif kind == 'pipe':
        blob.unlink()
        os.mkfifo(blob)
    elif kind == 'folder':
        blob.unlink()
        (blob / 'inner').mkdir(parents=True)
    elif kind == 'manifest of another key':
        manifest.write_text('{"key": 1}')
    elif kind == 'manifest names files without hashes':
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {'files': [BLOB]}))
    elif kind == 'manifest is a pipe':
        manifest.unlink()
        os.mkfifo(manifest)
    else:
        manifest.write_bytes(b'\xff\x00')


@pytest.mark.parametrize(
    'kind',
    ['truncated', 'foreign', 'missing', 'unknown file', 'link', 'pipe', 'folder',
     'manifest of another key', 'manifest names files without hashes',
     'manifest is a pipe', 'manifest is no text'],
)  # fmt: skip
def test_damaged_entry_is_rebuilt_never_loaded(
    kind: str, entry: Path, small_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = answer(small_checkpoint)
    size = (entry / BLOB).stat().st_size
    damage(entry, kind)
    assert np.array_equal(answer(small_checkpoint), expected)
    assert 'cannot be used' not in caplog.text
    assert {path.name for path in entry.iterdir()} == {'lock', 'manifest.json', BLOB}
    assert (entry / BLOB).stat().st_size > 0.99 * size  # compiled anew, it varies a little
    assert not (entry / BLOB).is_symlink()


def blocked_root(root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_text('a file, where a folder should be')


def linked_entry(root: Path) -> None:
    (entry,) = root.iterdir()
    entry.rename(root.parent / 'elsewhere')
    entry.symlink_to(root.parent / 'elsewhere')


def linked_lock(root: Path) -> None:
    (entry,) = root.iterdir()
    (root.parent / 'precious').write_text('precious')
    (entry / 'lock').unlink()
    (entry / 'lock').symlink_to(root.parent / 'precious')
    (entry / 'manifest.json').unlink()


def piped_lock(root: Path) -> None:
    (entry,) = root.iterdir()
    (entry / 'lock').unlink()
    os.mkfifo(entry / 'lock')
    (entry / 'manifest.json').unlink()


@pytest.mark.usefixtures('entry')
@pytest.mark.parametrize('obstacle', [linked_lock, piped_lock])
def test_lock_that_is_no_file_costs_a_warning_and_nothing_else(
    obstacle: object, root: Path, small_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle(root)  # type: ignore[operator]
    answer(small_checkpoint)
    assert caplog.text.count('cannot be used') == 1
    if obstacle is linked_lock:
        assert (root.parent / 'precious').read_text() == 'precious'


def test_folder_that_cannot_be_made_costs_one_warning_for_all_sizes(
    root: Path, small_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked_root(root)
    segmenter = Segmenter(small_checkpoint, 'openvino', precision='f32')
    segmenter(np.zeros((100, 150, 3), np.uint8))
    assert caplog.text.count('cannot be used') == 1
    assert root.read_text() == 'a file, where a folder should be'


def test_a_cache_that_cannot_even_be_looked_at_costs_only_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', '/' + 300 * 'a')
    with CacheEntry({'engine': 'none'}) as entry:
        assert entry.folder is None
    assert 'cannot be used' in caplog.text


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(os.path, 'expanduser', lambda path: path)
    assert cache.cache_root() == Path('/nonexistent/.cache/hyperseg_ros/engines')


@pytest.mark.parametrize('is_good', [True, False])
def test_link_to_an_entry_is_neither_read_nor_written_through(
    entry: Path,
    root: Path,
    small_checkpoint: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    is_good: bool,
) -> None:
    linked_entry(root)
    if not is_good:
        (entry / 'manifest.json').unlink()
    elsewhere = root.parent / 'elsewhere'
    before = {path.name: path.stat().st_mtime_ns for path in elsewhere.iterdir()}
    answer(small_checkpoint)
    assert caplog.text.count('cannot be used') == 1
    assert {path.name: path.stat().st_mtime_ns for path in elsewhere.iterdir()} == before


def test_full_disk_costs_one_warning_and_leaves_no_part_behind(
    root: Path,
    small_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    answer(small_checkpoint)
    assert caplog.text.count('No space left on device') == 1
    (entry,) = root.iterdir()
    assert [path.name for path in entry.iterdir()] == ['lock']


@pytest.mark.usefixtures('entry')
def test_built_engine_on_a_read_only_disk_is_used_without_a_warning(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_only(_: Path) -> int:
        raise OSError(30, 'Read-only file system')

    monkeypatch.setattr(cache, '_acquire', read_only)
    monkeypatch.setattr(preparation, '_check', refuse)
    answer(small_checkpoint)
    assert 'cannot be used' not in caplog.text


def test_held_lock_is_waited_for_a_while_then_the_engine_is_built_without(
    entry: Path,
    small_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level('INFO')
    monkeypatch.setattr(cache, '_LOCK_WAIT_S', 0.3)
    (entry / 'manifest.json').unlink()
    with (entry / 'lock').open('r+') as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        answer(small_checkpoint)
    assert 'Another process builds the same engine; waiting' in caplog.text
    assert caplog.text.count('cannot be used') == 1
    assert not (entry / 'manifest.json').exists()


def test_files_of_a_lock_that_is_held_are_left_alone(
    entry: Path, small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, '_LOCK_WAIT_S', 0.2)
    (entry / BLOB).write_bytes(b'half written by another process')
    with (entry / 'lock').open('r+') as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        answer(small_checkpoint)
    assert (entry / BLOB).read_bytes() == b'half written by another process'


def test_key_depends_on_all_that_an_engine_is_made_for(small_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    task = Task(checkpoint, 1, (128, 192), (128, 192))
    spec = EngineSpec('openvino', 'cpu', 'f32')
    keys = [
        cache_key(task, spec, b'graph'),
        cache_key(task, spec, b'another graph'),
        cache_key(task, EngineSpec('openvino', 'cpu', 'bf16'), b'graph'),
        cache_key(task, EngineSpec('onnxruntime', 'cpu', 'f32'), b'graph'),
        cache_key(Task(checkpoint, 2, (128, 192), (128, 192)), spec, b'graph'),
        cache_key(Task(checkpoint, 1, (128, 192), (90, 120)), spec, b'graph'),
    ]
    assert len({json.dumps(key) for key in keys}) == len(keys)
    assert keys[0] == cache_key(task, spec, b'graph')


def test_key_depends_on_library_device_and_driver(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    task = Task(checkpoint, 1, (128, 192), (128, 192))
    spec = EngineSpec('torch', 'cuda', 'f16')
    keys = [cache_key(task, spec, b'')]
    for name in ('engine_version', 'device_name', 'capability', 'driver_version', 'cpu_features'):
        with monkeypatch.context() as patch:
            patch.setattr(cache, name, lambda *_: 'another')
            keys.append(cache_key(task, spec, b''))
    assert len({json.dumps(key) for key in keys}) == len(keys)
    assert '+' in keys[0]['engine_version'] or 'torch' in keys[0]['engine_version']


def test_engines_own_files_are_signed_too(root: Path) -> None:
    with CacheEntry({'key': 1}) as entry:
        assert entry.folder is not None
        (entry.folder / 'kernels.engine').write_bytes(b'by TensorRT')
        entry.record({'agreement': 1.0})
    with CacheEntry({'key': 1}) as entry:
        assert entry.parity == {'agreement': 1.0}
        assert entry.folder is not None
        assert entry.read('kernels.engine') == b'by TensorRT'
        (entry.folder / 'kernels.engine').write_bytes(b'by somebody')
    with CacheEntry({'key': 1}) as entry:
        assert entry.folder == next(root.iterdir())
        assert entry.parity is None
        assert [path.name for path in root.glob('*/*')] == [str(Path('lock'))]


def test_error_while_building_reaches_the_caller_and_frees_the_lock(root: Path) -> None:
    with pytest.raises(OSError, match='from the engine'), CacheEntry({'key': 1}):
        raise OSError(5, 'from the engine')
    with CacheEntry({'key': 1}) as entry:
        assert entry.folder is not None


def _build_in_process(
    checkpoint: str, folder: str, results: 'multiprocessing.Queue[bool]'
) -> None:
    os.environ['XDG_CACHE_HOME'] = folder
    built = Segmenter(checkpoint, 'openvino', precision='f32')
    found = built(np.zeros((128, 192, 3), np.uint8))
    results.put(found.class_ids.shape == (128, 192))


@pytest.mark.slow
def test_two_processes_building_at_once_do_no_harm(
    root: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context('spawn')
    results = context.Queue()
    arguments = (str(small_checkpoint), str(tmp_path), results)
    children = [context.Process(target=_build_in_process, args=arguments) for _ in range(2)]
    for child in children:
        child.start()
    assert all(results.get(timeout=120) for _ in children)
    for child in children:
        child.join(30)
    assert len(list(root.iterdir())) == 1
