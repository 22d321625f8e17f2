# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The player in a process of its own, and what a subscriber gets of a bag."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import pty
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from bag_samples import Mcap
from bag_samples import image as sample_image
from bag_samples import picture
from bag_samples import simple_mcap
from bag_samples import time_of
from bag_samples import write_metadata
from node_client import Client
from node_client import environment
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores
from rosbags.typesys import get_typestore
from sensor_msgs.msg import Image
from std_msgs.msg import String

from hyperseg_core import ConfigError
from hyperseg_ros.bags.writer import UNKNOWN_HASH
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.messages.decoding import IMAGE

RATE_HZ, COUNT = 20, 40


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


@pytest.fixture(scope='module', params=['mcap', 'sqlite3'])
def bag(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of numbered images, a latched text at the start, and a type nobody has."""
    path = tmp_path_factory.mktemp('played') / 'bag'
    writer = BagWriter(path, storage=request.param)
    text = writer.types.types['std_msgs/msg/String'](data='latched')
    writer.write('/text', 'std_msgs/msg/String', 1, text, latched=True)
    odd = writer._writer.add_connection('/odd', 'odd_msgs/msg/Odd', msgdef='', rihs01=UNKNOWN_HASH)
    for index in range(COUNT):
        time_ns = 10**9 + index * 10**9 // RATE_HZ
        pixels = np.full((4, 6), index, np.uint8)
        image = writer.image(writer.header_at(time_ns, 'cam'), pixels, 'mono8')
        writer.write('/camera/image', IMAGE, time_ns, image)
        writer._writer.write(odd, time_ns, b'\0\1\0\0')
    writer.close()
    return path


@contextlib.contextmanager
def player(bag: Path, *options: str, stdin: Any = subprocess.DEVNULL) -> Iterator[Any]:
    command = [sys.executable, '-m', 'hyperseg_ros', 'bag', 'play', str(bag), *options]
    child = subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()


def numbers(images: list[Any]) -> list[int]:
    return [int(image.data[0]) for image in images]


def finish(client: Client, child: Any) -> str:
    assert client.wait(lambda: child.poll() is not None, 30)
    assert child.returncode == 0
    client.spin(0.3)
    return str(child.stdout.read().decode())


def listen_latched(client: Client) -> list[Any]:
    received: list[Any] = []
    profile = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.node.create_subscription(String, '/text', received.append, profile)
    return received


def test_everything_is_played_at_its_pace_and_unknown_types_are_named(
    client: Client, bag: Path
) -> None:
    images, texts = client.listen('/camera/image'), listen_latched(client)
    with player(bag) as child:
        assert client.wait(lambda: bool(images), 20)
        start_s = time.monotonic()
        assert client.wait(lambda: len(images) == COUNT, 10)
        elapsed_s = time.monotonic() - start_s
        output = finish(client, child)
    assert numbers(images) == list(range(COUNT))
    assert elapsed_s == pytest.approx((COUNT - 1) / RATE_HZ, abs=0.5)
    assert images[3].header.stamp.nanosec == 3 * 10**9 // RATE_HZ
    assert texts[0].data == 'latched'
    assert output.count('/odd is skipped') == 1


def test_start_duration_rate_topics_remap_and_clock(client: Client, bag: Path) -> None:
    from rosgraph_msgs.msg import Clock

    images, others = client.listen('/other'), client.listen('/camera/image')
    ticks, texts = client.listen('/clock', Clock), listen_latched(client)
    options = [
        '--start', '1.5', '--duration', '0.5', '--rate', '2', '--clock',
        '--topics', '/camera/image', '/text', '--remap', '/camera/image:=/other',
    ]  # fmt: skip
    with player(bag, *options) as child:
        finish(client, child)
    # The bag begins with the text: 1.5 s later image 10 is due, and half a second has ten.
    assert numbers(images)[0] in {9, 10, 11}
    assert 10 <= len(images) <= 12
    assert not others
    assert texts[0].data == 'latched'  # sent although it lies before the start
    assert ticks


def test_loop_until_interrupted(client: Client, bag: Path) -> None:
    images = client.listen('/camera/image')
    with player(bag, '--loop', '--rate', '4', '--topics', '/camera/image') as child:
        assert client.wait(lambda: len(images) > COUNT + 5, 30)
        child.send_signal(signal.SIGINT)
        assert client.wait(lambda: child.poll() is not None, 3)
        output = child.stdout.read().decode()
    assert child.returncode in {0, 130}
    assert 'Traceback' not in output
    assert numbers(images)[COUNT : COUNT + 3] == [0, 1, 2]


def test_space_pauses_and_goes_on(client: Client, bag: Path) -> None:
    images = client.listen('/camera/image')
    ours, theirs = pty.openpty()
    with player(bag, '--topics', '/camera/image', stdin=theirs) as child:
        assert client.wait(lambda: len(images) > 3, 20)
        os.write(ours, b' ')
        client.spin(0.5)
        paused_at = len(images)
        client.spin(1.0)
        assert len(images) == paused_at < COUNT
        os.write(ours, b' ')
        finish(client, child)
    os.close(ours)
    os.close(theirs)
    assert numbers(images) == list(range(COUNT))


def test_ros1_bags_are_played_as_ros2_messages(client: Client, tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with Writer1(tmp_path / 'old.bag') as writer:
        connection = writer.add_connection('/camera/image', IMAGE, typestore=store)
        for index in range(5):
            stamp = types['builtin_interfaces/msg/Time'](sec=index, nanosec=5)
            header = types['std_msgs/msg/Header'](seq=index, stamp=stamp, frame_id='cam')
            message = types[IMAGE](
                header=header, height=2, width=2, encoding='mono8', is_bigendian=0, step=2,
                data=np.full(4, index, np.uint8),
            )  # fmt: skip
            data = store.serialize_ros1(message, IMAGE)
            writer.write(connection, 10**9 + index * 10**8, data)
    images = client.listen('/camera/image', Image)
    with player(tmp_path / 'old.bag') as child:
        finish(client, child)
    assert numbers(images) == list(range(5))
    assert images[4].header.stamp.sec == 4
    assert images[4].header.frame_id == 'cam'


def test_wrong_topics_and_files_are_told(bag: Path, tmp_path: Path) -> None:
    for path, options, told in (
        (bag, ['--topics', '/nope'], "No topic '/nope' in the bag; it has: /camera/image"),
        (tmp_path / 'none', [], 'No bag at'),
        (bag, ['--remap', 'x'], 'is not FROM:=TO'),
    ):
        with player(path, *options) as child:
            assert child.wait(20) != 0
            output = child.stdout.read().decode()
        assert told in output
        assert 'Traceback' not in output


def test_damaged_messages_topics_and_times_cost_themselves(client: Client, tmp_path: Path) -> None:
    writer = Mcap()
    camera = writer.channel('/camera/image')
    for topic in ('no slash!', '/[/red]', '/a//b', '/~x', ''):
        writer.add(writer.channel(topic), time_of(0), sample_image(picture()))
    notes = writer.channel('/notes', 'Note', text='{}', form='jsonschema', encoding='json')
    writer.add(notes, time_of(0), b'{}')
    strange = writer.channel('/strange', 'sensor_msgs/msg/Image; import os', text='')
    writer.add(strange, time_of(0), b'x')
    writer.images(camera, range(5))
    for data in (b'', b'\0', b'\0\1\0\0junk'):
        writer.add(camera, time_of(5), data)
    for time_ns in (2**31 * 10**9, 2**62, 2**64 - 1):
        writer.add(camera, time_ns, sample_image(picture()))
    writer.images(camera, [6])
    bag = writer.finish(tmp_path / 'x.mcap')
    images = client.listen('/camera/image', Image)
    with player(bag, '--clock') as child:
        assert client.wait(lambda: child.poll() is not None, 40)
        client.spin(0.5)
        output = str(child.stdout.read().decode())
    assert child.returncode == 1
    assert 'Traceback' not in output
    assert [i.header.stamp.nanosec for i in images if i.height == 48] == [
        time_of(index) % 10**9 for index in (0, 1, 2, 3, 4, 6)
    ]
    assert "'no slash!'" in output
    assert "/notes is skipped: its messages are 'json'" in output
    assert 'log time beyond 2^31 s, 3 times' in output


def test_gaps_are_status_1_and_nothing_at_all_is_2(tmp_path: Path) -> None:
    simple_mcap(tmp_path / 'x_0.mcap')
    write_metadata(tmp_path, ['x_0.mcap'], count=5)
    empty = simple_mcap(tmp_path / 'empty.mcap', 0)
    for bag, status, told in (
        (tmp_path, 1, '2 of 5 messages that the bag promises'),
        (empty, 2, 'Not one message'),
    ):
        with player(bag) as child:
            assert child.wait(30) == status
            output = child.stdout.read().decode()
        assert told in ' '.join(output.split())


def test_days_of_silence_are_passed_over(client: Client, tmp_path: Path) -> None:
    writer = Mcap()
    camera = writer.channel('/camera/image')
    writer.add(camera, 0, sample_image(picture()))  # recorded before the clock was set
    writer.images(camera, range(3))
    images = client.listen('/camera/image', Image)
    with player(writer.finish(tmp_path / 'x.mcap')) as child:
        output = finish(client, child)
    assert len(images) == 4
    assert 'is passed over' in ' '.join(output.split())


@pytest.mark.parametrize('option', ['rate', 'start', 'duration'])
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -1.0, 1e12])
def test_numbers_that_mean_nothing_are_refused(option: str, value: float, tmp_path: Path) -> None:
    from hyperseg_ros.bags.play import bag_play_command

    bag = simple_mcap(tmp_path / 'x.mcap')
    with pytest.raises(ConfigError, match=f'--{option} is'):
        bag_play_command(bag, **{option: value})  # type: ignore[arg-type]


def test_latched_topics_keep_what_their_publishers_kept() -> None:
    from bag_samples import PROFILE

    from hyperseg_ros.bags.connection import Connection
    from hyperseg_ros.bags.connection import read_profiles
    from hyperseg_ros.bags.publishers import qos_of

    def depth(profiles: list[dict[str, Any]], count: int, *, latched: bool) -> int:
        known = read_profiles([PROFILE | item for item in profiles])
        fields = {'encoding': 'cdr', 'definition': '', 'definition_form': '', 'digest': ''}
        connection = Connection(
            1, '/x', IMAGE, msgcount=count, profiles=known, is_latched=latched, **fields
        )
        return int(qos_of(connection).depth)

    local = {'durability': 1}
    assert depth([local | {'depth': 1}] * 3, 500, latched=True) == 3
    assert depth([local | {'depth': 0}], 500, latched=True) == 500
    assert depth([local | {'depth': 0}], 10**6, latched=True) == 1000
    assert depth([], 7, latched=True) == 7
    assert depth([{'depth': 1}], 500, latched=False) == 10
    assert depth([{'depth': 40}], 500, latched=False) == 40
