# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip('rclpy')

from hyperseg_ros.viewer.segmenters import Stream
from hyperseg_ros.viewer.segmenters import streams_of
from hyperseg_ros.viewer.segmenters import with_topics

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def published(*prefixes: str) -> list[tuple[str, list[str]]]:
    found = [('/diagnostics', ['diagnostic_msgs/msg/DiagnosticArray'])]
    for prefix in prefixes:
        found += [(f'{prefix}{name}', [IMAGE]) for name in ('mask', 'confidence', 'overlay')]
        found.append((f'{prefix}mask/compressed', [COMPRESSED]))
    return found


def test_one_cameras_topic_is_what_the_node_listens_to() -> None:
    subscribed = [('/camera/image', [COMPRESSED]), ('/clock', ['rosgraph_msgs/msg/Clock'])]
    (stream,) = streams_of('/segmenter', published('/segmenter/'), subscribed)
    assert stream == Stream(
        'camera', '/segmenter/mask', '/camera/image', '/segmenter/confidence',
        '/segmenter/label_info',
    )  # fmt: skip


@pytest.mark.parametrize('name', ['mask', 'confidence', 'overlay'])
def test_an_output_that_is_remapped_is_found(name: str) -> None:
    topics = [
        ('/perception/out' if topic == f'/ns/s/front/{name}' else topic, types)
        for topic, types in published('/ns/s/front/', '/ns/s/rear/')
    ]
    front, rear = streams_of('/ns/s', topics, [])
    assert (front.name, rear.name) == ('front', 'rear')
    found = {'mask': front.mask, 'confidence': front.confidence}
    expected = {'mask': '/ns/s/front/mask', 'confidence': '/ns/s/front/confidence'}
    assert found == (expected | {name: '/perception/out'} if name in expected else expected)
    assert front.label_info == '/ns/s/front/label_info'
    assert rear.mask == '/ns/s/rear/mask'


def test_masks_that_cannot_be_told_from_other_images_are_left_out() -> None:
    topics = [*published('/s/')[2:], ('/a', [IMAGE]), ('/b', [IMAGE])]
    assert streams_of('/s', topics, []) == ()


def test_topics_of_several_cameras_are_told_by_diagnostics() -> None:
    subscribed = [('/a', [IMAGE]), ('/b', [IMAGE])]
    streams = streams_of('/ns/s', published('/ns/s/front/', '/ns/s/rear/'), subscribed)
    assert [stream.name for stream in streams] == ['front', 'rear']
    assert [stream.picture for stream in streams] == ['', '']
    told = with_topics(streams, {'front': '/b', 'rear': '/a', 'engine': ''})
    assert [stream.picture for stream in told] == ['/b', '/a']


@pytest.mark.parametrize(
    'topics',
    [
        [('/segmenter/mask', ['std_msgs/msg/String']), ('/segmenter/confidence', [IMAGE])],
        [('/segmenter/mask', [IMAGE])],
        [('/other/mask', [IMAGE]), ('/other/confidence', [IMAGE])],
    ],
)
def test_nodes_without_masks_and_confidences_are_no_segmenters(
    topics: list[tuple[str, list[str]]],
) -> None:
    assert streams_of('/segmenter', topics, []) == ()
