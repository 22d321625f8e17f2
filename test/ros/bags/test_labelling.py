# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from quick_engine import ENGINE
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import Segmenter
from hyperseg_ros.bags.label import bag_label_command
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.bags.labelling import label_bag
from hyperseg_ros.bags.make import bag_make_command
from hyperseg_ros.bags.mask_stream import masks
from hyperseg_ros.bags.parts import MADE_BY
from hyperseg_ros.bags.parts import Parts
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.reader import read_messages
from hyperseg_ros.bags.topics import output_prefixes
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.bags.types import ros2_types
from hyperseg_ros.bags.writer import UNKNOWN_HASH
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.raw_image import image_to_rgb

SIZE = (96, 128)
MASK = '/segmenter/camera/mask'


@pytest.fixture(scope='module')
def segmenter(small_checkpoint: Path) -> Segmenter:
    return Segmenter(small_checkpoint, ENGINE)


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('bags') / 'drive'
    bag_make_command(path, drive=1.2, rate=10.0, size=SIZE)
    return path


IMAGES = ['/camera/image_raw']


def _contents(path: Path) -> list[tuple[str, int, bytes]]:
    with open_bag(path) as reader:
        return [
            (m.connection.topic, m.time_ns, m.data)
            for m in read_messages(reader, list(reader.connections))
        ]


def test_every_image_gives_one_mask_with_its_stamp_and_time(
    bag: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    report = label_bag(bag, out, segmenter, LabelOptions(), IMAGES)
    assert (report.labelled, report.problems) == (12, [])
    with open_bag(bag) as reader:
        frames = [
            (m.time_ns, MessageTypes().deserialize(m))
            for m in read_messages(reader, list(reader.connections))
            if m.connection.topic == IMAGES[0]
        ]
    found = [item for item in _contents(out) if item[0] == MASK]
    assert [time_ns for _, time_ns, _ in found] == [time_ns for time_ns, _ in frames]
    for (_, frame), (stamp, mask) in zip(frames, masks(out, MASK), strict=True):
        assert frame.header.stamp.sec * 10**9 + frame.header.stamp.nanosec == stamp
        assert np.array_equal(mask, segmenter(image_to_rgb(frame)).class_ids)


def test_label_info_comes_first_and_latched(
    bag: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    label_bag(bag, out, segmenter, LabelOptions(), IMAGES)
    assert _contents(out)[0][0] == '/segmenter/camera/label_info'
    with open_bag(out) as reader:
        (info,) = [c for c in reader.connections if c.topic.endswith('label_info')]
        (profile,) = info.profiles
        message = next(read_messages(reader, [info]))
        content = MessageTypes().deserialize(message)
    assert profile.durability.name == 'TRANSIENT_LOCAL'
    assert [item.class_name for item in content.class_map][:2] == ['sky', 'building']
    provenance = json.loads((out / 'labelling.json').read_text())
    assert provenance['checkpoint'] == segmenter.checkpoint.digest
    assert 'hyperseg' in (out / 'metadata.yaml').read_text()


def test_two_runs_give_the_same_bytes(bag: Path, segmenter: Segmenter, tmp_path: Path) -> None:
    options = LabelOptions(confidence=True, overlay=True, compressed=True, copy=True)
    for name in ('a', 'b'):
        label_bag(bag, tmp_path / name, segmenter, options, IMAGES, chunk_size=7)
    assert _contents(tmp_path / 'a') == _contents(tmp_path / 'b')
    topics = {topic for topic, _, _ in _contents(tmp_path / 'a')}
    assert {MASK, f'{MASK}/compressed', '/segmenter/camera/confidence', IMAGES[0]} <= topics
    copied = [item for item in _contents(tmp_path / 'a') if item[0].startswith('/camera')]
    assert sorted(copied) == sorted(_contents(bag))


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_storages_and_single_files_are_read_and_written(
    storage: str, segmenter: Segmenter, tmp_path: Path
) -> None:
    bag_make_command(tmp_path / 'in', drive=0.3, rate=10.0, size=SIZE, storage=storage)
    (file,) = [p for p in (tmp_path / 'in').iterdir() if p.suffix in {'.mcap', '.db3'}]
    options = LabelOptions(storage=storage)
    report = label_bag(file, tmp_path / 'out', segmenter, options, IMAGES)
    assert report.labelled == 3
    assert len(list(masks(tmp_path / 'out', MASK))) == 3


def test_ros1_bags_are_labelled(segmenter: Segmenter, tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    pixels = np.zeros((*SIZE, 3), np.uint8)
    with Writer1(tmp_path / 'old.bag') as writer:
        connection = writer.add_connection('/camera/image_raw', IMAGE, typestore=store)
        for index in range(2):
            stamp = types['builtin_interfaces/msg/Time'](sec=index, nanosec=5)
            header = types['std_msgs/msg/Header'](seq=index, stamp=stamp, frame_id='cam')
            message = types[IMAGE](
                header=header, height=SIZE[0], width=SIZE[1], encoding='bgr8', is_bigendian=0,
                step=SIZE[1] * 3, data=pixels.reshape(-1),
            )  # fmt: skip
            writer.write(connection, index * 10**9 + 7, store.serialize_ros1(message, IMAGE))
        store.register(get_types_from_msg('Header header\nint32 speed\n', 'cars/msg/Speed'))
        connection = writer.add_connection('/speed', 'cars/msg/Speed', typestore=store)
        speed = types['cars/msg/Speed'](header=header, speed=7)
        writer.write(connection, 10**9, store.serialize_ros1(speed, 'cars/msg/Speed'))
    options = LabelOptions(copy=True)
    report = label_bag(tmp_path / 'old.bag', tmp_path / 'out', segmenter, options)
    assert report.labelled == 2
    assert not report.problems
    assert [stamp for stamp, _ in masks(tmp_path / 'out', MASK)] == [5, 10**9 + 5]
    # The copies are messages of ROS 2, which others read by the definitions in the bag.
    with AnyReader([tmp_path / 'out']) as copy:
        found = {
            item.topic: copy.deserialize(data, item.msgtype) for item, _, data in copy.messages()
        }
    assert found['/camera/image_raw'].encoding == 'bgr8'
    assert found['/camera/image_raw'].data.tobytes() == pixels.tobytes()
    assert (found['/speed'].speed, found['/speed'].header.frame_id) == (7, 'cam')


def test_compressed_images_are_labelled(segmenter: Segmenter, tmp_path: Path) -> None:
    bag_make_command(tmp_path / 'in', drive=0.3, rate=10.0, size=SIZE, jpeg=True)
    topics = ['/camera/image_raw/compressed']
    report = label_bag(tmp_path / 'in', tmp_path / 'out', segmenter, LabelOptions(), topics)
    assert report.labelled == 3
    assert len(list(masks(tmp_path / 'out', MASK))) == 3


def test_topics_that_would_share_a_place_keep_their_names() -> None:
    topics = {'/front/image', '/rear/image', '/rear/raw', '/image'}
    assert output_prefixes(topics) == {
        '/front/image': '/segmenter/front', '/rear/image': '/segmenter/rear/image',
        '/rear/raw': '/segmenter/rear/raw', '/image': '/segmenter',
    }  # fmt: skip


def _mixed_bag(path: Path) -> None:
    """Write good, truncated and unknown images, and duplicate stamps."""
    writer = BagWriter(path)
    good = np.zeros((*SIZE, 3), np.uint8)
    for index, (encoding, cut) in enumerate(
        [('rgb8', 0), ('rgb8', 100), ('32FC1', 0), ('bgr8', 0), ('bgr8', 0)]
    ):
        header = writer.header_at(10**9 * min(index, 3), 'cam')
        message = writer.image(header, good, encoding)
        message.data = message.data[: len(message.data) - cut]
        writer.write('/cam/image', IMAGE, 10**9 * min(index, 3), message)
    header = writer.header_at(5 * 10**9, 'cam')
    _, jpeg = cv2.imencode('.jpg', good)
    cut_jpeg = writer.compressed(header, jpeg.tobytes()[:-20], 'jpeg')
    writer.write('/cam/jpeg/compressed', COMPRESSED, 5 * 10**9, cut_jpeg)
    writer.close()


def test_bad_images_are_reported_and_the_others_labelled(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    _mixed_bag(tmp_path / 'in')
    report = label_bag(tmp_path / 'in', tmp_path / 'out', segmenter, LabelOptions())
    assert report.labelled == 3
    assert len(report.problems) == 3
    text = '\n'.join(report.problems)
    assert '/cam/image at 1000000000 ns' in text
    assert "'32FC1' is depth or ids" in text
    assert 'cut off' in text


def test_bad_images_of_one_stamp_have_a_line_each(segmenter: Segmenter, tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / 'in')
    good = np.zeros((*SIZE, 3), np.uint8)
    for encoding in ('rgb8', '32FC1', '32FC1'):
        message = writer.image(writer.header_at(0, 'cam'), good, encoding)
        writer.write('/cam/image', IMAGE, 0, message)
    writer.close()
    report = label_bag(tmp_path / 'in', tmp_path / 'out', segmenter, LabelOptions())
    assert (report.labelled, len(report.problems)) == (1, 2)


def test_truncated_bags_give_what_can_be_read(
    bag: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    broken = tmp_path / 'broken'
    shutil.copytree(bag, broken)
    file = next(broken.glob('*.mcap'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    out = tmp_path / 'out'
    code = bag_label_command(broken, out, checkpoint=str(small_checkpoint), engine=ENGINE)
    assert code in {1, 2}
    assert (code == 1) == out.exists()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_folders_without_metadata_are_read_by_their_files(
    storage: str, small_checkpoint: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / 'in', tmp_path / 'out'
    bag_make_command(source, drive=0.3, rate=10.0, size=SIZE, storage=storage)
    (source / 'metadata.yaml').unlink()
    code = bag_label_command(
        source, out, checkpoint=str(small_checkpoint), topics=IMAGES, engine=ENGINE
    )
    assert code == 0
    assert len(list(masks(out, MASK))) == 3


@pytest.mark.parametrize('mode', [CompressionMode.MESSAGE, CompressionMode.FILE])
@pytest.mark.parametrize('plugin', [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_compressed_bags_are_labelled(
    mode: CompressionMode, plugin: StoragePlugin, bag: Path, segmenter: Segmenter,
    tmp_path: Path,
) -> None:  # fmt: skip
    writer = Writer(tmp_path / 'in', version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer, open_bag(bag) as reader:
        connections = {
            item.id: writer.add_connection(item.topic, item.msgtype, typestore=ros2_types())
            for item in reader.connections
        }
        for message in read_messages(reader, list(reader.connections)):
            writer.write(connections[message.connection.id], message.time_ns, message.data)
    label_bag(bag, tmp_path / 'plain', segmenter, LabelOptions(), IMAGES)
    report = label_bag(tmp_path / 'in', tmp_path / 'out', segmenter, LabelOptions(), IMAGES)
    assert (report.labelled, report.problems) == (12, [])
    assert _contents(tmp_path / 'out') == _contents(tmp_path / 'plain')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_topics_of_unknown_types_do_not_disturb_and_are_copied(
    storage: str, segmenter: Segmenter, tmp_path: Path
) -> None:
    writer = BagWriter(tmp_path / 'in', storage=storage)
    header = writer.header_at(7, 'cam')
    image = writer.image(header, np.zeros((*SIZE, 3), np.uint8), 'rgb8')
    writer.write('/camera/image_raw', IMAGE, 7, image)
    odd = writer._writer.add_connection('/odd', 'odd_msgs/msg/Odd', msgdef='', rihs01=UNKNOWN_HASH)
    writer._writer.write(odd, 8, b'\0\1\0\0whatever')
    writer.close()
    report = label_bag(
        tmp_path / 'in', tmp_path / 'out', segmenter, LabelOptions(copy=True), IMAGES
    )
    assert (report.labelled, report.problems) == (1, [])
    assert ('/odd', 8, b'\0\1\0\0whatever') in _contents(tmp_path / 'out')


def test_bags_without_messages_are_told(small_checkpoint: Path, tmp_path: Path) -> None:
    BagWriter(tmp_path / 'in').close()
    code = bag_label_command(tmp_path / 'in', tmp_path / 'out', checkpoint=str(small_checkpoint))
    assert code == 2
    assert not (tmp_path / 'out').exists()


def test_exit_codes_tell_what_was_lost(bag: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    options = {'checkpoint': str(small_checkpoint), 'engine': ENGINE, 'topics': IMAGES}
    assert bag_label_command(bag, tmp_path / 'good', **options) == 0  # type: ignore[arg-type]
    _mixed_bag(tmp_path / 'mixed')
    options['topics'] = None  # type: ignore[assignment]
    assert bag_label_command(tmp_path / 'mixed', tmp_path / 'some', **options) == 1  # type: ignore[arg-type]
    (tmp_path / 'junk.mcap').write_bytes(b'junk')
    assert bag_label_command(tmp_path / 'junk.mcap', tmp_path / 'x', **options) == 2  # type: ignore[arg-type]
    assert not (tmp_path / 'x').exists()


def test_a_folder_of_bags_becomes_a_folder_of_bags(
    bag: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    for name in ('one', 'two'):
        shutil.copytree(bag, tmp_path / 'in' / name)
    code = bag_label_command(
        tmp_path / 'in',
        tmp_path / 'out',
        checkpoint=str(small_checkpoint),
        topics=IMAGES,
        engine=ENGINE,
    )
    assert code == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['one', 'two']


def test_existing_output_and_wrong_topics_are_refused(
    bag: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    (tmp_path / 'there').mkdir()
    with pytest.raises(ConfigError, match='is there already'):
        label_bag(bag, tmp_path / 'there', segmenter, LabelOptions())
    with pytest.raises(InputError, match=r"'/nope'; topics with images: /camera/image_raw"):
        label_bag(bag, tmp_path / 'out', segmenter, LabelOptions(), ['/nope'])


class _InterruptedError(Exception):
    pass


def test_interrupted_run_resumes_to_the_same_content(
    bag: Path, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hyperseg_ros.bags import labelling

    label_bag(bag, tmp_path / 'whole', segmenter, LabelOptions(), IMAGES, chunk_size=4)
    original = labelling.Labeller.label_chunk
    calls = []

    def interrupted(self: object, chunk: list[object], parts: Parts, index: int) -> None:
        calls.append(index)
        if len(calls) == 3:
            parts.unfinished(f'{index:06d}')
            raise _InterruptedError
        original(self, chunk, parts, index)  # type: ignore[arg-type]

    out = tmp_path / 'out'
    monkeypatch.setattr(labelling.Labeller, 'label_chunk', interrupted)
    with pytest.raises(_InterruptedError):
        label_bag(bag, out, segmenter, LabelOptions(), IMAGES, chunk_size=4)
    assert not out.exists()
    label_bag(bag, out, segmenter, LabelOptions(), IMAGES, chunk_size=4, resume=True)
    assert len(calls) == 4  # two whole chunks were not done again
    assert _contents(out) == _contents(tmp_path / 'whole')
    assert not (tmp_path / 'out.parts').exists()


def test_resume_with_other_options_is_refused(
    bag: Path, segmenter: Segmenter, tmp_path: Path
) -> None:
    parts = tmp_path / 'out.parts'
    parts.mkdir()
    (parts / 'provenance.json').write_text(json.dumps({'made_by': MADE_BY}))
    with pytest.raises(ConfigError, match='another input, checkpoint or options'):
        label_bag(bag, tmp_path / 'out', segmenter, LabelOptions(), IMAGES, resume=True)


@pytest.mark.slow
def test_killed_process_leaves_input_and_no_output_and_resumes(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / 'in', tmp_path / 'out'
    bag_make_command(source, drive=45.0, rate=10.0, size=SIZE)
    before = {path.name: path.stat().st_size for path in source.iterdir()}
    command = [
        sys.executable, '-m', 'hyperseg_ros', 'bag', 'label', str(source), str(out),
        '--topics', *IMAGES, '--engine', ENGINE, '--checkpoint', str(small_checkpoint),
    ]  # fmt: skip
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 120
    first = tmp_path / 'out.parts' / '000000'
    while not first.exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not out.exists()
    stamp = first.stat().st_mtime_ns
    assert {path.name: path.stat().st_size for path in source.iterdir()} == before
    subprocess.run([*command, '--resume'], check=True, capture_output=True)
    assert stamp
    assert len(list(masks(out, MASK))) == 450


@pytest.mark.slow
def test_full_disk_leaves_no_output_and_resumes(
    bag: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    command = [
        sys.executable, '-m', 'hyperseg_ros', 'bag', 'label', str(bag), str(out),
        '--topics', *IMAGES, '--engine', ENGINE, '--checkpoint', str(small_checkpoint),
    ]  # fmt: skip

    def limit_files() -> None:
        import resource

        # A file that may not grow fails as one on a full disk does: with an OSError.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    full = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit_files)
    assert full.returncode == 2
    assert 'File too large' in full.stderr
    assert not out.exists()
    subprocess.run([*command, '--resume'], check=True, capture_output=True)
    assert len(list(masks(out, MASK))) == 12


def test_commands_evaluate_and_diff_read_labelled_bags(
    bag: Path, small_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hyperseg_core.cli import run
    from hyperseg_ros.cli import create_app

    options = ['--engine', ENGINE, '--checkpoint', str(small_checkpoint)]
    for name in ('a', 'b'):
        arguments = ['bag', 'label', str(bag), str(tmp_path / name), '--topics', *IMAGES, *options]
        assert run(arguments, create_app()) == 0
    sheet = tmp_path / 'sheet.png'
    assert (
        run(
            ['bag', 'diff', str(tmp_path / 'a'), str(tmp_path / 'b'), '--sheet', str(sheet)],
            create_app(),
        )
        == 0
    )
    assert sheet.is_file()
    truth = ['bag', 'evaluate', str(tmp_path / 'a'), '/camera/labels', '--truth-bag', str(bag)]
    assert run(truth, create_app()) == 0
    assert 'mean' in capsys.readouterr().out


def test_make_needs_exactly_one_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='exactly one'):
        bag_make_command(tmp_path / 'out')
    with pytest.raises(ConfigError, match='exactly one'):
        bag_make_command(tmp_path / 'out', drive=1.0, video=tmp_path)
