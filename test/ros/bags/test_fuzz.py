# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged bags through whole commands: an exit status and lines, never a traceback.

`HYPERSEG_FUZZ=5000 pytest test/ros/bags/test_fuzz.py` runs more of them, by hand.
"""

import os
from pathlib import Path
import random
import resource
import shutil

from bag_samples import MASK
from bag_samples import TOPIC
from bag_samples import FakeSegmenter
from bag_samples import Mcap
from bag_samples import compressed
from bag_samples import image
from bag_samples import picture
from bag_samples import simple_db3
from bag_samples import simple_mcap
from bag_samples import simple_ros1
from bag_samples import time_of
from bag_samples import write_metadata
import cv2
from mcap.writer import CompressionType
import pytest
import yaml

from hyperseg_core.cli import run
from hyperseg_ros.bags import label
from hyperseg_ros.cli import create_app
from hyperseg_ros.messages.decoding import COMPRESSED

COUNT = int(os.environ.get('HYPERSEG_FUZZ', '400'))
TRUTH = '/truth'
ODD_VALUES = (None, [], {}, 'x', -1, 2**70, 1.5, True, [[]], {'a': 1}, '[/red]', '../../etc', '{')


def _with_masks(path: Path) -> Path:
    writer = Mcap()
    channels = [writer.channel(), writer.channel(MASK), writer.channel(TRUTH)]
    jpeg = writer.channel('/b/image/compressed', COMPRESSED)
    for index in range(4):
        ids = picture(index)[..., 0] // 32
        for channel, pixels, encoding in zip(
            channels, (picture(index), ids, ids), ('rgb8', 'mono8', '8UC1'), strict=True
        ):
            writer.add(channel, time_of(index), image(pixels, encoding, time_of(index)))
        ending = ('.jpg', '.png', '.tiff')[index % 3]
        data = cv2.imencode(ending, picture(index))[1].tobytes()
        writer.add(jpeg, time_of(index), compressed(data, ending, time_of(index)))
    return writer.finish(path)


@pytest.fixture(scope='module')
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return bags of every storage, by file name."""
    folder = tmp_path_factory.mktemp('samples')
    zstd = {'compression': CompressionType.ZSTD, 'chunk_size': 15_000}
    paths = [
        _with_masks(folder / 'masks.mcap'),
        simple_mcap(folder / 'zstd.mcap', 4, **zstd),
        simple_mcap(folder / 'plain.mcap', 4, use_chunking=False),
        simple_db3(folder / 'x.db3'),
        simple_ros1(folder / 'x.bag'),
    ]
    return {path.name: path.read_bytes() for path in paths}


def _damage(content: bytes, rng: random.Random) -> bytes:
    """Change bytes anywhere, or at the ends, where heads and indexes lie."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        anywhere, head = rng.randrange(len(data)), min(rng.randrange(400), len(data) - 1)
        place = rng.choice((anywhere, head, max(len(data) - 1 - rng.randrange(900), 0)))
        length = rng.choice((1, 4, 8, 30))
        noise = rng.randbytes(length)
        kind = rng.choice(('noise', 'ones', 'zeros', 'more', 'fewer', 'end'))
        if kind == 'more':
            data[place:place] = noise
        elif kind in {'fewer', 'end'}:
            del data[place : place + length if kind == 'fewer' else None]
        else:
            filling = {'noise': noise, 'ones': b'\xff' * length, 'zeros': bytes(length)}
            data[place : place + length] = filling[kind]
        data = data or bytearray(b'x')
    return bytes(data)


def _damage_metadata(folder: Path, rng: random.Random) -> None:
    path = folder / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    for _ in range(rng.choice((1, 1, 3))):
        place = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if not (isinstance(place[key], dict | list) and place[key]) or rng.random() < 0.2:
                place[key] = rng.choice(ODD_VALUES)
                break
            place = place[key]
    data = bytearray(yaml.safe_dump(content).encode())
    if rng.random() < 0.3:
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)


def _arguments(bag: Path, out: Path, sample: Path, rng: random.Random) -> list[str]:
    if bag.name == 'masks.mcap' and rng.random() < 0.6:
        return rng.choice((
            ['bag', 'evaluate', str(bag), TRUTH, '--topic', MASK],
            ['bag', 'evaluate', str(bag), TRUTH],
            ['bag', 'diff', str(bag), str(sample)],
            ['bag', 'diff', str(bag), str(bag), '--sheet', str(out.with_suffix('.png'))],
        ))  # fmt: skip
    options = rng.choice((
        [], ['--copy'], ['--copy', '--storage', 'sqlite3'], ['--topics', TOPIC],
        ['--overlay', '--confidence', '--compressed'],
    ))  # fmt: skip
    return ['bag', 'label', str(bag), str(out), *options]


@pytest.mark.timeout(0 if COUNT > 1000 else 300)
def test_commands_end_with_a_status_whatever_a_bag_holds(
    samples: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label, 'Segmenter', FakeSegmenter)
    rng = random.Random(int(os.environ.get('HYPERSEG_FUZZ_SEED', '0')))
    sample = tmp_path / 'sample.mcap'
    sample.write_bytes(samples['masks.mcap'])
    work = tmp_path / 'work'
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    statuses, app = set(), create_app()
    for number in range(COUNT):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        bag, out = work / rng.choice(sorted(samples)), work / 'out'
        content = samples[bag.name]
        if rng.random() < 0.3:
            folder = work / 'folder'
            folder.mkdir()
            (folder / bag.name).write_bytes(content)
            write_metadata(folder, [bag.name])
            _damage_metadata(folder, rng)
            bag = folder
        else:
            bag.write_bytes(_damage(content, rng))
        arguments = _arguments(bag, out, sample, rng)
        try:
            status = run(arguments, app)
        except BaseException as error:
            kept = shutil.copytree(work, tmp_path / f'escaped_{number}')
            raise AssertionError(f'{arguments} of {kept}: {error!r}') from error
        assert status in {0, 1, 2}, arguments
        assert not out.with_name('out.parts').exists(), arguments
        assert out.exists() or status or arguments[1] != 'label', arguments
        statuses.add((arguments[1], status))
    assert len(statuses) >= 7  # all sorts of ends were met
    # Whatever tests before it took in this process is not its growth [kB].
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 700_000
