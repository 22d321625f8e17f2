# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `hyperseg view SOURCE` reads, keeps and hands to pages."""

import asyncio
from collections.abc import Iterator
import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest

from hyperseg_core import InputError
from hyperseg_core import Segmenter
from hyperseg_core.cli import run
from hyperseg_core.render import write_png
from hyperseg_ros.bags.make import bag_make_command
from hyperseg_ros.cli import create_app
from hyperseg_ros.viewer.clients import Client
from hyperseg_ros.viewer.file_frames import FileFrame
from hyperseg_ros.viewer.file_frames import FileFrames
from hyperseg_ros.viewer.file_frames import known_truth
from hyperseg_ros.viewer.file_frames import open_files
from hyperseg_ros.viewer.file_hub import FileHub
from hyperseg_ros.viewer.protocol import Acknowledge
from hyperseg_ros.viewer.protocol import ListParameters
from hyperseg_ros.viewer.protocol import Look
from hyperseg_ros.viewer.protocol import Seek
from hyperseg_ros.viewer.protocol import unpack_frame
from hyperseg_ros.viewer.recording import Recording
from hyperseg_ros.viewer.rerun_recording import write_recording


def _images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        write_png(folder / f'f{index}.png', np.full((48, 64, 3), 10 * index, np.uint8))
    return folder


def test_folder_gives_images_with_the_truth_that_there_is(tmp_path: Path) -> None:
    images, truth = _images(tmp_path / 'images', 3), tmp_path / 'truth'
    truth.mkdir()
    write_png(truth / 'f0.png', np.full((48, 64), 7, np.uint8))
    write_png(truth / 'f1.png', np.zeros((5, 6), np.uint8))
    frames = open_files(str(images), None, str(truth))
    found = list(frames)
    assert [frame.name for frame in found] == ['f0', 'f1', 'f2']
    assert [frame.stamp for frame in found] == [(0, 0), (0, 200_000_000), (0, 400_000_000)]
    assert [int(frame.pixels[0, 0, 0]) for frame in found] == [0, 10, 20]
    assert found[0].truth is not None
    assert (found[0].truth == 7).all()
    assert found[1].truth is None
    assert found[2].truth is None
    assert ['5 x 6 px' in frames.problems[0], 'f2.png' in frames.problems[1]] == [True, True]
    assert (frames.total, frames.title) == (3, 'images')


def test_bag_gives_pictures_with_the_labels_of_their_stamps(tmp_path: Path) -> None:
    bag = tmp_path / 'bag'
    bag_make_command(bag, drive=0.5, size=(96, 128))
    frames = open_files(str(bag), None, '/camera/labels')
    found = list(frames)
    assert frames.total == len(found) > 3
    assert all(frame.truth is not None and frame.truth.max() < 11 for frame in found)
    assert found == sorted(found, key=lambda frame: frame.stamp)
    assert frames.rate_hz == pytest.approx(len(found) / 0.5, rel=0.3)
    alone = list(open_files(str(bag), None, None))
    assert [frame.stamp for frame in alone] == [frame.stamp for frame in found]
    assert all(frame.truth is None for frame in alone)


def test_video_gives_its_frames_at_its_rate(tmp_path: Path) -> None:
    path = tmp_path / 'a.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 20, (64, 48))
    for _ in range(4):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    frames = open_files(str(path), None, None)
    assert (frames.rate_hz, len(list(frames))) == (20, 4)


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (('images', '/camera', None), r"--topic '/camera' is for bags"),
        (('images', None, 'nowhere'), r"--truth 'nowhere' is no folder"),
        (('0', None, None), r"'0' is a camera"),
        (('bag', '/nope', None), r"No images on topic '/nope'"),
        (('bag', None, '/nope'), r"No images on topic '/nope'"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_served(
    words: tuple[str, str | None, str | None], told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _images(tmp_path / 'images', 1)
    bag_make_command(tmp_path / 'bag', drive=0.1, size=(96, 128))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told):
        open_files(*words)


def test_recording_gives_any_frame_again_under_another_number() -> None:
    recording = Recording()
    for index in range(3):
        recording.add({'index': index}, [b'picture', bytes([index]), b'', b'truth' * index])
    assert len(recording) == 3
    for index in (2, 0, 1):
        header, parts = unpack_frame(recording.message(index, 40 + index))
        assert (header['index'], header['number']) == (index, 40 + index)
        assert list(parts.values()) == [b'picture', bytes([index]), b'', b'truth' * index]


@pytest.fixture
def segmenter(small_checkpoint: Path) -> Segmenter:
    return Segmenter(str(small_checkpoint), precision='f32')


def _frames(count: int, damage: str = '') -> FileFrames:
    def read(shown: FileFrames) -> Iterator[FileFrame]:
        for index in range(count):
            pixels = np.full((64, 64, 3), index, np.uint8)
            truth = np.full((64, 64), 3 if index else 200, np.uint8)
            yield FileFrame(f'n{index}', (index, 0), pixels, truth)
        if damage:
            raise InputError(damage)

    return FileFrames('some', 10.0, count, read)


def test_pages_seek_in_what_was_segmented(segmenter: Segmenter) -> None:
    sent: list[bytes | str] = []

    async def send(message: bytes | str) -> None:
        sent.append(message)

    async def received(client: Client, hub: FileHub) -> tuple[dict, dict]:
        while not sent:
            await asyncio.sleep(0.01)
        message = sent.pop(0)
        header, parts = (
            (json.loads(message), {}) if isinstance(message, str) else unpack_frame(message)
        )
        hub.take(client, Acknowledge(header['number']))
        return header, parts

    async def converse() -> None:
        hub = FileHub(_frames(4), segmenter)
        client = Client(send)
        tasks = [asyncio.create_task(hub.run()), asyncio.create_task(client.run())]
        hub.enter(client)
        hub.take(client, Look('files', has_confidence=False))
        frames = []
        state: dict = {}
        while not frames or not state['timeline']['is_finished']:
            header, parts = await received(client, hub)
            if header['type'] == 'state':
                state = header
            else:
                frames.append((header['name'], sorted(name for name in parts if parts[name])))
                truth = cv2.imdecode(np.frombuffer(parts['truth'], np.uint8), -1)
                assert (truth == (3 if header['index'] else 255)).all()  # 200 is no class
        assert frames[0] == ('n0', ['confidence', 'ids', 'picture', 'truth'])
        assert (state['timeline']['count'], state['timeline']['total']) == (4, 4)
        assert state['segmenters'][0]['streams'][0]['classes'][0]['name']
        for index in (3, 1):
            hub.take(client, Seek(index))
            header, _ = await received(client, hub)
            assert (header['name'], header['index'], header['stamp']) == (
                f'n{index}', index, [index, 0]
            )  # fmt: skip
        with pytest.raises(InputError, match='Frame 4 is not there: 4 are'):
            hub.take(client, Seek(4))
        hub.take(client, ListParameters(9, 'x'))
        header, _ = await received(client, hub)
        assert (header['request'], header['error']) == (9, 'Files have no node.')
        hub.leave(client)
        assert hub.num_clients == 0
        for task in tasks:
            task.cancel()

    asyncio.run(asyncio.wait_for(converse(), 60))


@pytest.mark.parametrize(('count', 'damage'), [(2, 'the rest is damaged'), (0, '')])
def test_what_goes_wrong_is_the_cause_that_pages_show(
    count: int, damage: str, segmenter: Segmenter
) -> None:
    async def cause() -> str:
        hub = FileHub(_frames(count, damage), segmenter)
        task = asyncio.create_task(hub.run())
        while not hub.state()['timeline']['is_finished']:
            await asyncio.sleep(0.02)
        task.cancel()
        return hub.state()['segmenters'][0]['streams'][0]['cause']

    found = asyncio.run(asyncio.wait_for(cause(), 60))
    assert found == (damage or 'It has no frames.')


def test_recording_for_rerun_has_the_frames(tmp_path: Path) -> None:
    pytest.importorskip('rerun', reason='rerun is not installed')
    images, out = _images(tmp_path / 'images', 3), tmp_path / 'a.rrd'
    words = ['view', str(images), '--rrd']
    assert run([*words, str(out)], create_app()) == 0
    assert out.read_bytes()[:3] == b'RRF'
    assert [path.name for path in tmp_path.iterdir() if '.rrd' in path.name] == ['a.rrd']
    assert run([*words, str(tmp_path / 'no' / 'a.rrd')], create_app()) != 0


def test_recording_of_nothing_or_without_rerun_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(['view', '--rrd', 'a.rrd'], create_app()) != 0
    assert 'name a folder, a video or a bag' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'rerun', None)
    images = _images(tmp_path / 'images', 1)
    assert run(['view', str(images), '--rrd', str(tmp_path / 'a.rrd')], create_app()) != 0
    assert "pip install 'hyperseg_ros[rerun]'" in capsys.readouterr().err


def test_recording_that_cannot_be_written_is_told_before_and_leaves_nothing(
    segmenter: Segmenter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('rerun')
    images, out = _images(tmp_path / 'images', 1), tmp_path / 'out'
    out.mkdir()
    assert run(['view', str(images), '--rrd', str(out)], create_app()) == 2
    told = capsys.readouterr().err
    assert 'is a folder, expected a file' in told
    assert 'Segmenting on' not in told
    assert run(['view', str(images), '--rrd', '/proc/a.rrd'], create_app()) == 2
    assert '/proc' in capsys.readouterr().err
    with pytest.raises(InputError, match='the rest is damaged'):
        write_recording(out / 'a.rrd', _frames(1, 'the rest is damaged'), segmenter)
    assert list(out.iterdir()) == []


def test_ids_that_no_class_has_are_unlabelled() -> None:
    ids = np.array([[0, 10, 11, 200, 255]], np.uint8)
    frame = FileFrame('a', (0, 0), np.zeros((1, 5, 3), np.uint8), ids)
    assert np.array_equal(known_truth(frame, 11), [[0, 10, 255, 255, 255]])
