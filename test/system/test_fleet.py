# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet` as people run it: Ray's processes, an S3 server, kills and Ctrl-C."""

from collections.abc import Callable
from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from bag_samples import simple_mcap
import pytest

pytest.importorskip('ray', reason='Ray is not installed')
pytest.importorskip('moto.server', reason='the S3 server for tests, moto, is not installed')

from fleet_storage import S3Server
import fsspec

WAIT_S = 240.0
COMMAND = [sys.executable, '-m', 'hyperseg_ros', 'fleet']


@pytest.fixture(scope='module')
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp('s3')) as found:
        yield found


class Fleet:
    """Runs the command with a scratch folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith('AWS_')}
        self.environment['COLUMNS'] = '250'

    def start(self, *words: Any) -> subprocess.Popen[str]:
        command = [*COMMAND, *map(str, words), '--scratch', str(self.folder / 'scratch')]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.environment, cwd=self.folder,
        )  # fmt: skip

    def label(self, *words: Any) -> tuple[int, str]:
        """Return status and output."""
        with self.start('label', *words, '--checkpoint', 'fast', '--workers', 1) as process:
            told = process.communicate(timeout=WAIT_S)[0]
        return process.returncode, told

    def run(self, *words: Any) -> tuple[int, str]:
        with self.start(*words) as process:
            told = process.communicate(timeout=WAIT_S)[0]
        return process.returncode, told

    def stats(self, *words: Any) -> tuple[int, str]:
        command = [*COMMAND, 'stats', *map(str, words)]
        found = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, timeout=WAIT_S
        )
        return found.returncode, found.stdout + found.stderr


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def bags(folder: Path, count: int, num_images: int = 3) -> Path:
    folder.mkdir()
    for index in range(count):
        simple_mcap(folder / f'run{index}.mcap', num_images)
    return folder


def wait_for(condition: Callable[[], Any]) -> Any:
    end_s = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    return found


def workers_of(scratch: Path) -> list[int]:
    """Return processes that label a bag in this scratch folder: those that hold its lock."""
    found = []
    for link in Path('/proc').glob('[0-9]*/fd/*'):
        try:
            if Path(os.readlink(link)).is_relative_to(scratch):
                found.append(int(link.parts[2]))
        except OSError:
            continue
    return found


def listening(driver: int) -> set[str]:
    """Return the addresses that the local Ray of a driver listens on."""
    inodes = set()
    for path in Path('/proc').glob('[0-9]*'):
        try:
            if f'/hs-ray-{driver}-'.encode() in (path / 'cmdline').read_bytes():
                inodes |= {os.readlink(link) for link in (path / 'fd').iterdir()}
        except OSError:
            continue
    found = set()
    for table in ('tcp', 'tcp6'):
        for line in Path('/proc/net', table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == '0A' and f'socket:[{words[9]}]' in inodes:
                raw = bytes.fromhex(words[1].partition(':')[0][-8:])
                found.add('.'.join(map(str, raw[::-1])))
    return found


def test_bags_in_a_bucket_one_corrupt_and_mended(fleet: Fleet, server: S3Server) -> None:
    fleet.environment |= server.environment
    folder = bags(fleet.folder / 'in', 3)
    good = (folder / 'run1.mcap').read_bytes()
    (folder / 'run1.mcap').write_bytes(b'nothing of a bag')
    for name, value in server.environment.items():
        os.environ[name] = value
    try:
        filesystem = fsspec.filesystem('s3', use_listings_cache=False)
        filesystem.mkdir('fleet')
        filesystem.put(str(folder), 'fleet/in', recursive=True)
        status, told = fleet.label('s3://fleet/in', 's3://fleet/out')
        assert status == 1, told
        assert '2 of 3 bags are labelled: 6 images, 0 problems.' in told
        assert 'run1: ' in told
        assert 'Try them again with --retry-failed.' in told
        lines = filesystem.cat_file('fleet/out/fleet.jsonl').decode().splitlines()
        found = {line['name']: line for line in map(json.loads, lines)}
        assert [found[f'run{i}']['status'] for i in range(3)] == ['labelled', 'failed', 'labelled']
        assert found['run0']['peak_bytes'] < 1.5e9
        first = {path: info['LastModified'] for path, info in everything(filesystem).items()}
        assert not [path for path in first if 'unfinished' in path]

        status, told = fleet.label('s3://fleet/in', 's3://fleet/out')
        assert status == 1
        assert '3 of 3 bags were finished before.' in told
        again = {path: info['LastModified'] for path, info in everything(filesystem).items()}
        assert {p: t for p, t in again.items() if 'jsonl' not in p} == {
            p: t for p, t in first.items() if 'jsonl' not in p
        }
        status, told = fleet.label('s3://fleet/in', 's3://fleet/out', '--retry-failed')
        assert status == 1
        assert '2 of 3 bags were finished before.' in told

        filesystem.pipe_file('fleet/in/run1.mcap', good)
        status, told = fleet.label('s3://fleet/in', 's3://fleet/out')
        assert status == 0, told
        assert '3 of 3 bags are labelled: 9 images, 0 problems.' in told
        status, told = fleet.stats('s3://fleet/out')
        assert status == 0, told
        assert '3 of 3 bags are labelled: 9 images' in ' '.join(told.split())
    finally:
        for name in server.environment:
            del os.environ[name]


def everything(filesystem: Any) -> dict[str, Any]:
    return dict(filesystem.find('fleet/out', detail=True))


def test_killed_worker_driver_and_ctrl_c_lose_nothing(fleet: Fleet) -> None:
    source, out, scratch = bags(fleet.folder / 'in', 2, 60), fleet.folder / 'out', fleet.folder
    scratch /= 'scratch'
    words = ('label', source, out, '--checkpoint', 'fast', '--workers', 1)
    with fleet.start(*words) as process:
        (worker,) = wait_for(lambda: workers_of(scratch))
        assert listening(process.pid) == {'127.0.0.1'}
        os.kill(worker, signal.SIGKILL)
        # Another takes the bag over, and the driver goes.
        wait_for(lambda: [pid for pid in workers_of(scratch) if pid != worker])
        process.kill()
        process.wait()
    wait_for(lambda: not workers_of(scratch))
    with fleet.start(*words) as process:
        wait_for(lambda: workers_of(scratch))
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=WAIT_S)[0]
    assert process.returncode == 130, told
    assert 'Interrupted; the same command goes on where it stopped.' in told
    assert 'Traceback' not in told
    wait_for(lambda: not workers_of(scratch))
    with fleet.start(*words) as process:
        told = process.communicate(timeout=WAIT_S)[0]
    assert process.returncode == 0, told
    assert '2 of 2 bags are labelled: 120 images, 0 problems.' in told
    assert {path.name for path in out.iterdir()} == {'run0', 'run1', 'fleet.jsonl'}
    for index in range(2):
        names = {path.name for path in (out / f'run{index}').iterdir()}
        assert names == {f'run{index}.mcap', 'metadata.yaml', 'labelling.json'}
    assert not list(scratch.iterdir())


def test_bag_that_takes_too_long_is_given_up_and_listed(fleet: Fleet) -> None:
    source = bags(fleet.folder / 'in', 1, 60)
    out = fleet.folder / 'out'
    options = ('--timeout', '0.05', '--attempts', '2')
    status, told = fleet.label(source, out, *options)
    assert status == 1, told
    assert 'given up after 2 attempts: it took longer than 0.05 s (--timeout)' in told
    assert json.loads((out / 'run0' / 'failed.json').read_text())['fleet']['attempt'] == 2
    assert not list((fleet.folder / 'scratch').iterdir())


def test_wrong_inputs_are_one_line_before_any_work(fleet: Fleet, tmp_path: Path) -> None:
    source = bags(tmp_path / 'in', 1)
    (tmp_path / 'file').write_text('')
    (tmp_path / 'broken.safetensors').write_bytes(b'none')
    bags(tmp_path / 'twin', 1)
    cases = [
        ((source,), 'Expected where bags are and, last, where to write'),
        ((source, source / 'out'), 'lie in one another'),
        ((tmp_path / 'none', tmp_path / 'out'), 'There is nothing at'),
        ((source, tmp_path / 'file'), 'is a file; name a folder'),
        ((source, '/proc/out'), 'Nothing can be written to /proc/out'),
        ((source / 'run0.mcap', tmp_path / 'twin/run0.mcap', tmp_path / 'out'), 'would both be'),
        ((source, tmp_path / 'out', '--checkpoint', tmp_path / 'broken.safetensors'), 'broken'),
        ((source, tmp_path / 'out', '--cpus', '0'), '--cpus is 0.0, but must be'),
        ((source, tmp_path / 'out', '--cpus', '9999'), 'No task fits on the cluster'),
        ((source, tmp_path / 'out', '--address', '127.0.0.1:1'), "'127.0.0.1:1' cannot be joined"),
        ((source, tmp_path / 'out', '--report', tmp_path / 'no/x'), 'there is no folder'),
        ((source, tmp_path / 'out', '--workers', '0'), 'must be 1 or more'),
    ]
    for words, told in cases:
        status, output = fleet.run('label', *words)
        assert status == 2, (words, output)
        last = output.strip().splitlines()[-1]
        assert told in last or told in output, (words, output)
        assert 'Traceback' not in output, output
        assert not (tmp_path / 'out' / 'run0').exists()


def test_bags_are_scored_by_the_labels_of_their_inputs(fleet: Fleet, tmp_path: Path) -> None:
    from hyperseg_ros.bags.make import bag_make_command

    for index in range(2):
        place = tmp_path / 'in' / f'drive{index}'
        bag_make_command(place, drive=0.2, seed=index, size=(96, 128))
    simple_mcap(tmp_path / 'in' / 'other.mcap')
    status, told = fleet.label(tmp_path / 'in', tmp_path / 'out')
    assert status == 0, told
    words = ('evaluate', tmp_path / 'out', '/camera/labels', '--report', tmp_path / 'x.html')
    status, told = fleet.run(*words, '--workers', 1)
    assert status == 0, told
    assert '2 of 3 bags are scored, 1 have no truth, 0 failed' in ' '.join(told.split())
    page = (tmp_path / 'x.html').read_text()
    assert 'drive0' in page
    assert 'no topic /camera/labels in it' in page
    bag = tmp_path / 'out' / 'drive1' / 'drive1.mcap'
    content = bytearray(bag.read_bytes())
    content[len(content) // 2] ^= 1
    bag.write_bytes(content)
    status, told = fleet.run(*words, '--workers', 1)
    assert status == 1, told
    assert 'drive1.mcap is not what was committed' in ' '.join(told.split())
