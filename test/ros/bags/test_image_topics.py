# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from bag_samples import QOS
from bag_samples import TOPIC
from bag_samples import TYPES
from bag_samples import Mcap
from bag_samples import compressed
from bag_samples import image
from bag_samples import picture
from bag_samples import time_of
import cv2
import numpy as np
import pytest

from hyperseg_core import InputError
from hyperseg_ros.bags import topics as topics_module
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.topics import ImageTopics
from hyperseg_ros.bags.topics import image_topics
from hyperseg_ros.bags.types import LABEL_INFO
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import FFMPEG_PACKET
from hyperseg_ros.messages.decoding import FOXGLOVE_VIDEO

DEPTH = picture()[..., 0].astype(np.uint16) * 40
IDS = picture()[..., 0] // 32


def _choose(writer: Mcap, tmp_path: Path, topics: list[str] | None = None) -> ImageTopics:
    with open_bag(writer.finish(tmp_path / 'x.mcap')) as reader:
        return image_topics(reader, topics)


def _names(found: ImageTopics) -> list[str]:
    return sorted(item.topic for item in found.chosen)


def test_depth_is_no_camera_and_has_a_line_each(tmp_path: Path) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    png = cv2.imencode('.png', DEPTH)[1].tobytes()
    raw = writer.channel('/depth/raw')
    by_topic = writer.channel('/depth/raw/compressedDepth', COMPRESSED)
    by_format = writer.channel('/depth/packed', COMPRESSED)
    floats = writer.channel('/depth/metres')
    for index in range(3):
        writer.add(raw, time_of(index), image(DEPTH, '16UC1'))
        writer.add(floats, time_of(index), image(DEPTH.astype(np.float32), '32FC1'))
        writer.add(by_topic, time_of(index), compressed(bytes(12) + png, 'png'))
        writer.add(by_format, time_of(index), compressed(png, '16UC1; compressedDepth png'))
    found = _choose(writer, tmp_path)
    assert _names(found) == [TOPIC]
    assert len(found.left_out) == 4
    assert all('depth' in line for line in found.left_out)


@pytest.mark.parametrize('has_info', [True, False])
def test_a_segmenters_own_topics_are_no_cameras(has_info: bool, tmp_path: Path) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    for name in ('mask', 'confidence', 'overlay'):
        channel = writer.channel(f'/segmenter/front/{name}')
        pixels, encoding = (picture(), 'rgb8') if name == 'overlay' else (IDS, 'mono8')
        writer.add(channel, time_of(0), image(pixels, encoding))
    png = writer.channel('/segmenter/front/mask/compressed', COMPRESSED)
    writer.add(png, time_of(0), compressed(cv2.imencode('.png', IDS)[1].tobytes(), 'mono8; png'))
    labels = writer.channel('/cam/labels')
    writer.add(labels, time_of(0), image(IDS, 'mono8'))
    if has_info:
        writer.channel('/segmenter/front/label_info', LABEL_INFO)
    found = _choose(writer, tmp_path)
    assert _names(found) == [TOPIC]
    assert len(found.left_out) == 5


def test_a_camera_may_have_such_a_name(tmp_path: Path) -> None:
    writer = Mcap()
    for topic in ('/mask', '/a/overlay', '/b/confidence', '/c/labels'):
        writer.add(writer.channel(topic), time_of(0), image(picture()))
    assert len(_choose(writer, tmp_path).chosen) == 4


def test_what_is_asked_for_is_taken_whatever_it_is(tmp_path: Path) -> None:
    writer = Mcap()
    for topic in ('/s/mask', TOPIC):
        writer.add(writer.channel(topic), time_of(0), image(IDS, 'mono8'))
    assert _names(_choose(writer, tmp_path, ['/s/mask'])) == ['/s/mask']


def test_only_depth_is_refused_with_the_way_out(tmp_path: Path) -> None:
    writer = Mcap()
    writer.add(writer.channel('/depth'), time_of(0), image(DEPTH, '16UC1'))
    with pytest.raises(InputError, match=r'/depth is left out: it is depth .* --topics NAME'):
        _choose(writer, tmp_path)


def test_what_there_is_is_listed_when_what_was_asked_for_is_not(tmp_path: Path) -> None:
    writer = Mcap()
    writer.add(writer.channel('/odometry', 'nav_msgs/msg/Odometry'), time_of(0), b'\0\1\0\0')
    with pytest.raises(InputError, match=r'it has: /odometry \(nav_msgs/msg/Odometry\)'):
        _choose(writer, tmp_path)
    writer = Mcap()
    writer.add(writer.channel('/odometry', 'nav_msgs/msg/Odometry'), time_of(0), b'\0\1\0\0')
    with pytest.raises(InputError, match=r"'/cam'; .* none. It has: /odometry"):
        _choose(writer, tmp_path, ['/cam'])
    writer = Mcap()
    writer.images(writer.channel())
    with pytest.raises(InputError, match=rf"'/cam'; topics with images: {TOPIC}"):
        _choose(writer, tmp_path, ['/cam'])


@pytest.mark.parametrize('kind', [FFMPEG_PACKET, FOXGLOVE_VIDEO])
def test_videos_are_named_with_what_installs_their_decoder(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TYPES.generate_msgdef(kind, ros_version=2)[0]
    writer = Mcap()
    writer.add(writer.channel('/video', kind, text=text), time_of(0), b'\0\1\0\0' + bytes(40))
    path = writer.finish(tmp_path / 'x.mcap')
    with open_bag(path) as reader:
        monkeypatch.setattr(topics_module, 'is_video_installed', lambda: True)
        assert _names(image_topics(reader, None)) == ['/video']
        monkeypatch.setattr(topics_module, 'is_video_installed', lambda: False)
        for topics in (None, ['/video']):
            with pytest.raises(InputError, match=rf'{kind}\), which needs PyAV: .*\[video\]'):
                image_topics(reader, topics)


def test_channels_of_other_encodings_are_left_out_and_named(tmp_path: Path) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    proto = writer.channel(
        '/video', 'foxglove.CompressedVideo', text='', form='protobuf', encoding='protobuf'
    )
    writer.add(proto, time_of(0), b'\x0a\x00')
    found = _choose(writer, tmp_path)
    assert found.left_out == ['/video is left out: its messages are protobuf, not ROS.']
    writer = Mcap(profile='')
    channel = writer.channel('/cam', 'sensor_msgs/msg/Image', encoding='json', qos=QOS)
    writer.add(channel, time_of(0), b'{}')
    with pytest.raises(InputError, match=r"/cam is left out: its messages are 'json', not ROS"):
        _choose(writer, tmp_path)


def test_damaged_first_messages_leave_a_topic_in(tmp_path: Path) -> None:
    writer = Mcap()
    writer.add(writer.channel(), time_of(0), b'\0\1\0\0junk')
    assert _names(_choose(writer, tmp_path)) == [TOPIC]
