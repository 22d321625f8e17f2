# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot that nobody changed: default transports, and whatever a camera may send."""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from node_client import Client
from node_client import environment
from node_client import node_process
from sensor_msgs.msg import Image

from hyperseg_core.drive import DriveScene
from hyperseg_ros.messages.encoding import fill_image

_FRAMES = 60
_SOAK_FRAMES = int(os.environ.get('HYPERSEG_SOAK_FRAMES', '400'))
_SOAK_RATE_HZ = 30.0
_USUAL = DriveScene(1, height=96, width=128).frame(2.0).image


@contextlib.contextmanager
def process(*command: str, log: Path) -> Iterator[Any]:
    """Run a Python process in the tests' domain, with nothing else changed."""
    plain = {k: v for k, v in environment().items() if not k.startswith(('FASTDDS', 'FASTRTPS'))}
    with log.open('wb') as file:
        child = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=file, text=True, env=plain,
        )  # fmt: skip
        try:
            yield child
        finally:
            child.kill()
            child.communicate()


def counted(statuses: list[Any]) -> dict[str, int]:
    """Return the newest counts in the diagnostics of one camera."""
    values = {item.key: item.value for item in statuses[-1].status[0].values}
    return {key: int(value) for key, value in values.items() if value.isdecimal()}


def accounted(counts: dict[str, int]) -> int:
    """Return how many frames the node knows of."""
    return sum(counts.get(key, 0) for key in ('received', 'lost on the way', 'replaced unread'))


def test_plain_node_camera_and_listener_lose_no_frames(client: Client, tmp_path: Path) -> None:
    masks, statuses = client.listen('/segmenter/mask'), client.diagnostics()
    camera = str(Path(__file__).with_name('camera_on_demand.py'))
    node = ('-m', 'hyperseg_ros.node.segmenter_node')
    with (
        process(*node, log=tmp_path / 'node'),
        process(camera, log=tmp_path / 'camera') as sender,
    ):

        def send(name: str) -> bool:
            sender.stdin.write(f'{name}\n')
            sender.stdin.flush()
            return client.wait(lambda: bool(masks) and masks[-1].header.frame_id == name, 2.0)

        assert sender.stdout.readline() == 'there\n'
        # Discovery, and the engine: conditions, not times.
        end_s = time.monotonic() + 90
        while not send('early'):
            assert time.monotonic() < end_s, (tmp_path / 'node').read_text()
        stale_before = counted(statuses).get('dropped, too old', 0) if statuses else 0
        answered = sum(send(f'frame {index}') for index in range(_FRAMES))
        statuses.clear()
        assert client.wait(lambda: bool(statuses), 10)
        # A machine that is slow now and then may make a frame too old; it is then not lost.
        too_old = counted(statuses).get('dropped, too old', 0) - stale_before
    assert answered + too_old >= _FRAMES - 1


def odd_frames(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return 40 kinds of frames: what changes in a usual one."""
    kinds: list[dict[str, Any]] = [
        {'data': b''}, {'data': b'\0' * 10}, {'height': 0}, {'width': 0}, {'height': 2**31},
        {'width': 2**32 - 1}, {'step': 1}, {'step': 0}, {'step': 2**32 - 1}, {'encoding': ''},
        {'encoding': 'rubbish'}, {'encoding': '8UC99'}, {'encoding': 'nv12'},
        {'encoding': 'x' * 5_000}, {'is_bigendian': 255}, {'frame_id': ''},
        {'frame_id': 'a/b c\n' * 50}, {'sec': -1}, {'sec': -(2**31)}, {'sec': 2**31 - 1},
        {'sec': 0, 'nanosec': 0}, {'nanosec': 2**32 - 1}, {'encoding': 'mono16'},
        {'encoding': 'bayer_rggb8'}, {'encoding': '32FC1'}, {'encoding': 'yuv422'},
    ]  # fmt: skip
    for height, width in ((1, 1), (1, 700), (700, 1), (97, 129), (64, 64), (33, 1021)):
        kinds.append({'pixels': rng.integers(0, 256, (height, width, 3), np.uint8)})
    for height, width in ((240, 320), (120, 640), (480, 360)):
        kinds.append({'pixels': np.full((height, width, 3), 90, np.uint8)})
    for encoding, channels in (('mono8', 1), ('bgra8', 4), ('rgba8', 4), ('bgr8', 3)):
        shape = (96, 128, channels) if channels > 1 else (96, 128)
        kinds.append({'pixels': np.zeros(shape, np.uint8), 'as': encoding})
    kinds.append({'pixels': np.zeros((2000, 1, 3), np.uint8)})
    assert len(kinds) == 40
    return kinds


def message_of(client: Client, kind: dict[str, Any]) -> Image:
    """Return a frame of a kind, stamped now unless the kind says otherwise."""
    message = fill_image(Image(), kind.get('pixels', _USUAL), kind.get('as', 'rgb8'))
    message.header.frame_id = 'odd'
    message.header.stamp = client.node.get_clock().now().to_msg()
    for name, value in kind.items():
        if name in {'sec', 'nanosec'}:
            setattr(message.header.stamp, name, value)
        elif name == 'frame_id':
            message.header.frame_id = value
        elif name not in {'pixels', 'as'}:
            setattr(message, name, value)
    return message


def test_node_outlives_frames_of_all_kinds(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    """HYPERSEG_SOAK_FRAMES=10000 is the whole of it."""
    masks, statuses = client.listen('/segmenter/mask'), client.diagnostics()
    publisher = client.publisher('/image', reliable=True)
    rng = np.random.default_rng(0)
    kinds = odd_frames(rng)
    sent_s: dict[str, float] = {}
    ages_s: list[float] = []
    log = tmp_path / 'log'
    with node_process(small_checkpoint, log, '-p', 'max_age_s:=1.0') as child:
        end_s = time.monotonic() + 60
        while not masks:
            assert time.monotonic() < end_s
            publisher.publish(message_of(client, {}))
            client.spin(0.3)
        statuses.clear()
        assert client.wait(lambda: bool(statuses), 10)
        before = accounted(counted(statuses))
        next_s = time.monotonic()
        for index in range(_SOAK_FRAMES):
            is_usual = index % 3 == 0
            message = message_of(client, {} if is_usual else kinds[rng.integers(len(kinds))])
            if is_usual:
                message.header.frame_id = f'usual {index}'
                sent_s[message.header.frame_id] = time.monotonic()
            publisher.publish(message)
            next_s += 1 / _SOAK_RATE_HZ
            client.spin(max(0.0, next_s - time.monotonic()))
            next_s = max(next_s, time.monotonic() - 0.1)
            for mask in masks:
                if (start_s := sent_s.pop(mask.header.frame_id, None)) is not None:
                    ages_s.append(time.monotonic() - start_s)
            masks.clear()
            assert child.poll() is None, log.read_text()[-2000:]
        state = client.call(GetState, '/segmenter/get_state', GetState.Request(), 30)
        assert state.current_state.id == State.PRIMARY_STATE_ACTIVE
        # It still works, and every frame is accounted for.
        sent = _SOAK_FRAMES
        end_s = time.monotonic() + 30
        while not masks:
            assert time.monotonic() < end_s
            publisher.publish(message_of(client, {}))
            sent += 1
            client.spin(0.3)
        client.spin(1.0)
        statuses.clear()
        assert client.wait(lambda: bool(statuses), 10)
    counts = counted(statuses)
    dropped = sum(count for key, count in counts.items() if key.startswith('dropped, '))
    assert counts['dropped'] == dropped
    assert accounted(counts) - before == sent
    assert 0 <= counts['received'] - counts['published'] - dropped <= 1
    print(f'{counts}; {len(ages_s)} usual frames answered, latest after {max(ages_s):.2f} s')
    assert ages_s
    assert max(ages_s) < 2.0
    assert 'Traceback' not in log.read_text()
