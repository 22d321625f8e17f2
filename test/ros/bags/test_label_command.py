# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exit status, report and output of `bag label`, for one bag and several."""

import json
import logging
from pathlib import Path
from typing import Any

from bag_samples import MASK
from bag_samples import START_NS
from bag_samples import TOPIC
from bag_samples import FakeSegmenter
from bag_samples import Mcap
from bag_samples import compressed
from bag_samples import encoded_video
from bag_samples import image
from bag_samples import picture
from bag_samples import read_back
from bag_samples import simple_db3
from bag_samples import simple_mcap
from bag_samples import time_of
from bag_samples import video_bag
from bag_samples import whole
from bag_samples import write_metadata
import cv2
import pytest
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
import yaml

from hyperseg_core.errors import InputError
from hyperseg_ros.bags import label
from hyperseg_ros.bags.mask_stream import masks
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import FFMPEG_PACKET
from hyperseg_ros.messages.decoding import FOXGLOVE_VIDEO
from hyperseg_ros.messages.decoding import IMAGE


@pytest.fixture(autouse=True)
def _fake_network(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(label, 'Segmenter', FakeSegmenter)
    caplog.set_level(logging.INFO)


def _label(*sources: Path, out: Path, **options: Any) -> int:
    return label.bag_label_command(*sources, out, **options)


def _count(out: Path, topic: str = MASK) -> int:
    return len(list(masks(out, topic)))


def test_a_gap_is_status_1_with_the_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simple_mcap(tmp_path / 'x_0.mcap')
    write_metadata(tmp_path, ['x_0.mcap'], count=5)
    assert _label(tmp_path, out=tmp_path / 'out') == 1
    assert _count(tmp_path / 'out') == 3
    assert '2 of 5 messages that the bag promises could not be read' in caplog.text
    report = json.loads((tmp_path / 'out' / 'labelling.json').read_text())
    assert report['labelled'] == 3
    assert len(report['problems']) == 1


def test_masks_are_of_one_engine_on_the_cpu_unless_another_device_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakeSegmenter] = []

    def make(*options: Any, **more: Any) -> FakeSegmenter:
        made.append(FakeSegmenter(*options, **more))
        return made[-1]

    monkeypatch.setattr(label, 'Segmenter', make)
    simple_mcap(tmp_path / 'x.mcap')
    assert _label(tmp_path / 'x.mcap', out=tmp_path / 'out') == 0
    assert _label(tmp_path / 'x.mcap', out=tmp_path / 'other', device='cuda') == 0
    assert [segmenter.options[2] for segmenter in made] == ['cpu', 'cuda']
    assert not any(segmenter.replaces_lost for segmenter in made)


def test_no_image_of_a_topic_is_status_2_and_nothing_is_claimed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert _label(simple_mcap(tmp_path / 'empty.mcap', 0), out=tmp_path / 'out') == 2
    assert not (tmp_path / 'out').exists()
    assert 'labelled to' not in caplog.text
    assert f'{TOPIC} has no messages' in caplog.text


def test_no_image_of_one_of_two_topics_is_status_2_if_it_promised_or_was_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    writer.channel('/rear/image')
    bag = writer.finish(tmp_path / 'x.mcap')
    assert _label(bag, out=tmp_path / 'a') == 0
    assert '/rear/image has no messages' in caplog.text
    assert _label(bag, out=tmp_path / 'b', topics=[TOPIC, '/rear/image']) == 2
    assert 'not one image of /rear/image could be read' in caplog.text
    assert _count(tmp_path / 'b') == 3


def test_bags_are_tasks_of_their_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bags = tmp_path / 'in'
    for name in ('x', 'y'):
        (bags / name).mkdir(parents=True)
        simple_mcap(bags / name / 'log.mcap')
    (bags / 'junk.mcap').write_bytes(b'junk')
    (bags / 'run_0.5.mcap').write_bytes((bags / 'x' / 'log.mcap').read_bytes())
    simple_db3(bags / 'run_0.7.db3')
    writer = Mcap()
    writer.add(writer.channel('/text', 'std_msgs/msg/String'), START_NS, b'\0\1\0\0')
    writer.finish(bags / 'text.mcap')
    out = tmp_path / 'out'
    assert _label(bags, out=out) == 1
    made = sorted(item.name for item in out.iterdir())
    assert made == ['run_0.5', 'run_0.7', 'x_log.mcap', 'y_log.mcap']
    assert all(_count(out / name) == 3 for name in made)
    assert '4 of 6 bags are labelled without loss' in caplog.text
    end = caplog.text[caplog.text.index('4 of 6') :]
    assert 'junk.mcap' in end
    assert 'text.mcap' in end
    caplog.clear()
    # What is finished costs itself only, and with --resume it is no loss at all.
    simple_mcap(bags / 'new.mcap')
    assert _label(bags, out=out, resume=True) == 1
    assert _count(out / 'new') == 3
    assert '5 of 7 bags' in caplog.text
    simple_mcap(bags / 'newer.mcap')
    assert _label(bags / 'run_0.7.db3', bags / 'newer.mcap', out=out) == 1
    assert _count(out / 'newer') == 3


def test_nothing_done_for_several_is_status_2(tmp_path: Path) -> None:
    for name in ('a.mcap', 'b.mcap'):
        (tmp_path / name).write_bytes(b'junk')
    assert _label(tmp_path / 'a.mcap', tmp_path / 'b.mcap', out=tmp_path / 'out') == 2
    assert not (tmp_path / 'out').exists()


def test_every_damaged_message_costs_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    channel = writer.channel()
    good = image(picture())
    bad = [
        good[:40], b'', b'\0\1\0\0', good[:-5], good.replace(b'rgb8', b'what'),
        good.replace(b'rgb8', b'\xff\xfe\xfd\xfc'), image(picture(), height=0),
        image(picture(), width=0), image(picture(), step=3), b'\xff' * 200,
    ]  # fmt: skip
    for index, data in enumerate([good, *bad, good]):
        writer.add(channel, time_of(index), data)
    for time_ns in (2**63 + 1, 2**64 - 1):
        writer.add(channel, time_ns, good)
    writer.add(channel, 2**40 * 10**9 % 2**63, good)
    bag = writer.finish(tmp_path / 'x.mcap')
    for storage in ('mcap', 'sqlite3'):
        out = tmp_path / storage
        assert _label(bag, out=out, storage=storage, copy=True) == 1
        report = json.loads((out / 'labelling.json').read_text())
        assert report['labelled'] == 3
        assert len(report['problems']) == len(bad) + 2
    assert 'none that a bag can hold' in caplog.text


def test_markup_in_names_is_text(tmp_path: Path) -> None:
    writer = Mcap()
    topic = '/[/red]cam[bold]/image'
    writer.images(writer.channel(topic))
    bag = writer.finish(tmp_path / 'x[nope].mcap')
    assert _label(bag, out=tmp_path / 'out[x]') == 0
    assert _count(tmp_path / 'out[x]', '/segmenter/[/red]cam[bold]/mask') == 3


def test_copies_keep_idl_and_work_by_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    idl = 'module my { module msg { struct Thing { long a; }; }; };'
    thing = writer.channel('/thing', 'my/msg/Thing', text=idl, form='ros2idl')
    text = writer.channel(TOPIC, 'std_msgs/msg/String')
    notes = writer.channel('/notes', 'Note', text='{}', form='jsonschema', encoding='json')
    jpeg = cv2.imencode('.jpg', picture())[1].tobytes()
    packed = writer.channel(TOPIC, COMPRESSED)
    writer.add(packed, time_of(4), compressed(jpeg))
    writer.add(thing, time_of(1), b'\0\1\0\0\1\0\0\0')
    writer.add(text, time_of(1), b'\0\1\0\0\1\0\0\0\0')
    writer.add(notes, time_of(1), b'{}')
    bag = writer.finish(tmp_path / 'x.mcap')
    for storage in ('mcap', 'sqlite3'):
        out = tmp_path / storage
        assert _label(bag, out=out, copy=True, storage=storage) == 0
        assert _count(out) == 4
        with Reader(out) as reader:
            found = {(c.topic, c.msgtype): c for c in reader.connections}
            assert {kind for topic, kind in found if topic == TOPIC} == {
                IMAGE, COMPRESSED, 'std_msgs/msg/String',
            }  # fmt: skip
            written = found['/thing', 'my/msg/Thing'].msgdef
            assert written.format == MessageDefinitionFormat.IDL
            assert written.data.endswith(idl)
            assert ('/notes', 'Note') not in found
    assert '/notes is left out: its messages are json' in caplog.text


def test_topics_like_ours_are_refused_in_copies_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    writer.add(writer.channel(MASK), START_NS, image(picture()[..., 0] // 32, 'mono8'))
    bag = writer.finish(tmp_path / 'x.mcap')
    assert _label(bag, out=tmp_path / 'a', copy=True) == 2
    assert f'already holds {MASK}' in caplog.text
    assert [item.name for item in tmp_path.iterdir()] == ['x.mcap']
    assert _label(bag, out=tmp_path / 'b') == 0


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_bags_are_written_so_that_humble_reads_them(storage: str, tmp_path: Path) -> None:
    out = tmp_path / 'a#b%25?c'
    assert _label(simple_mcap(tmp_path / 'x.mcap'), out=out, storage=storage) == 0
    content = yaml.safe_load((out / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert content['version'] == 8
    for item in content['topics_with_message_count']:
        # Humble reads the QoS as YAML in a string, with numbers.
        (profile,) = yaml.safe_load(item['topic_metadata']['offered_qos_profiles'])
        assert isinstance(profile['reliability'], int)
    assert sorted(item.name for item in out.iterdir())[1:] == ['labelling.json', 'metadata.yaml']
    assert _count(out) == 3


def test_pictures_say_what_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = Mcap()
    channel = writer.channel('/cam/image_raw/compressed', COMPRESSED)
    jpeg = cv2.imencode('.jpg', picture())[1].tobytes()
    for index, (data, form) in enumerate(
        [
            (jpeg + bytes(5000), 'jpeg'),
            (b'\0\0\0\1\x67junk', 'h264'),
            (jpeg[: len(jpeg) // 2], 'jpeg'),
        ]
    ):
        writer.add(channel, time_of(index), compressed(data, form))
    assert _label(writer.finish(tmp_path / 'x.mcap'), out=tmp_path / 'out') == 1
    assert _count(tmp_path / 'out') == 1
    assert 'h264' in caplog.text
    assert 'cut off' in caplog.text


@pytest.mark.parametrize('kind', [FOXGLOVE_VIDEO, FFMPEG_PACKET])
def test_videos_are_labelled_and_what_comes_before_a_key_frame_is_lost(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    packets = encoded_video(6)
    bag = video_bag(tmp_path / 'x.mcap', kind, packets)
    assert _label(bag, out=tmp_path / 'out', overlay=True) == 0
    found = list(masks(tmp_path / 'out', '/segmenter/cam/mask'))
    assert [stamp for stamp, _ in found] == [(7 + index) * 10**9 + 5 for index in range(6)]
    expected = picture(100)[..., 0] // 32
    assert (found[5][1] == expected).mean() > 0.7
    bag = video_bag(tmp_path / 'cut.mcap', kind, packets[2:])
    assert _label(bag, out=tmp_path / 'none') == 2
    assert 'a video begins with its first key frame' in caplog.text
    assert kind in caplog.text


def test_a_resumed_video_goes_on_with_the_pictures_before(tmp_path: Path) -> None:
    from hyperseg_ros.bags.labeller import Labeller
    from hyperseg_ros.bags.labeller import LabelOptions
    from hyperseg_ros.bags.labelling import label_bag

    bag = video_bag(tmp_path / 'x.mcap', FOXGLOVE_VIDEO, encoded_video(8))

    def labelled(out: Path, *, resume: bool) -> list[Any]:
        segmenter: Any = FakeSegmenter()
        label_bag(bag, out, segmenter, LabelOptions(), resume=resume, chunk_size=3)
        return [ids.tolist() for _, ids in masks(out, MASK)]

    straight = labelled(tmp_path / 'a', resume=False)
    original = Labeller.label_chunk

    def interrupted(self: Any, chunk: Any, parts: Any, index: int) -> None:
        if index == 2:
            raise KeyboardInterrupt
        original(self, chunk, parts, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Labeller, 'label_chunk', interrupted)
        with pytest.raises(KeyboardInterrupt):
            labelled(tmp_path / 'b', resume=False)
    assert labelled(tmp_path / 'b', resume=True) == straight


@pytest.mark.parametrize('stamp_ns', [-(2**31) * 10**9, -1, 0, 2**31 * 10**9 - 1])
def test_stamps_are_kept_whatever_they_are(stamp_ns: int, tmp_path: Path) -> None:
    writer = Mcap()
    writer.add(writer.channel(), START_NS, image(picture(), time_ns=stamp_ns))
    assert _label(writer.finish(tmp_path / 'x.mcap'), out=tmp_path / 'out') == 0
    assert [stamp for stamp, _ in masks(tmp_path / 'out', MASK)] == [stamp_ns]


def test_copies_hold_what_was_there(tmp_path: Path) -> None:
    bag = simple_db3(tmp_path / 'x.db3')
    assert _label(bag, out=tmp_path / 'out', copy=True) == 0
    found, problems, gaps = read_back(tmp_path / 'out')
    assert [item for item in found if item[0] == TOPIC] == whole()
    assert not problems
    assert not gaps
    with open_bag(tmp_path / 'out') as reader:
        (camera,) = [c for c in reader.connections if c.topic == TOPIC]
        message = next(reader.messages([camera]))
    assert camera.profiles
    assert MessageTypes().deserialize(message).encoding == 'rgb8'


def test_zstd_leaves_the_same_masks_in_less(tmp_path: Path) -> None:
    simple_mcap(tmp_path / 'x.mcap', 20)
    plain, small = tmp_path / 'plain', tmp_path / 'small'
    assert _label(tmp_path / 'x.mcap', out=plain) == _label(
        tmp_path / 'x.mcap', out=small, zstd=True
    )
    assert (small / 'small.mcap').stat().st_size < (plain / 'plain.mcap').stat().st_size / 3
    found = [[(stamp, ids.tobytes()) for stamp, ids in masks(bag, MASK)] for bag in (plain, small)]
    assert found[0] == found[1]
    assert len(found[0]) == 20
    with Reader(small) as reader:
        assert len(list(reader.messages())) == len(read_back(small)[0])
    with pytest.raises(InputError, match='leave out --zstd'):
        label.bag_label_command(
            tmp_path / 'x.mcap', tmp_path / 'db3', storage='sqlite3', zstd=True
        )
