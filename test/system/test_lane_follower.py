# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tutorial's planner, closed over DDS: street, ground and planner are processes."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('nav_msgs')

from node_client import Client
from node_client import environment
from planner_process import planner_process
from std_msgs.msg import Float32MultiArray

from hyperseg_core.drive.driven import CAMERA_HEIGHT_M
from hyperseg_core.drive.driven import DrivenStreet
from hyperseg_ros.examples.lane_follower import steer

NUM_STREETS, STEPS = 10, 60
ANGLES = np.linspace(-1.05, 1.05, 121)


@contextlib.contextmanager
def running(module: str, *arguments: str) -> Iterator[None]:
    command = [sys.executable, '-m', f'hyperseg_ros.{module}', '--ros-args', *arguments]
    child = subprocess.Popen(command, env=environment())
    try:
        yield
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(10)


def test_ten_streets_are_driven_without_touching_kerb_or_cars(
    client: Client, tmp_path: Path
) -> None:
    progress: list[Any] = client.listen('/street/progress', Float32MultiArray)
    pose = {'camera_pose': f'[0.0,0.0,{CAMERA_HEIGHT_M},0.0,0.0,0.0]', 'label_set': 'camvid'}
    here = ['-r', '__ns:=/street']
    remaps = ['-r', 'mask:=/street/labels', '-r', 'camera_info:=/street/camera_info']
    options = {'num_streets': NUM_STREETS, 'steps': STEPS, 'max_rate': 100.0}
    street = [word for name, value in options.items() for word in ('-p', f'{name}:={value}')]
    with (
        planner_process('ground_node', tmp_path / 'log', pose, *remaps),
        running('examples.lane_follower', '-r', 'scan:=/ground/scan', *here),
        running('cameras.driven_street', *here, *street),
    ):
        end = [NUM_STREETS - 1, STEPS]
        assert client.wait(lambda: bool(progress) and list(progress[-1].data[:2]) == end, 150)
    drives = np.array([message.data for message in progress])
    ends = drives[drives[:, 1] == STEPS]
    print(ends[:, 2].round(1), ends[:, 3].round(2))
    assert len(ends) == NUM_STREETS
    assert ends[:, 3].min() > 0.1
    assert (ends[:, 2] > 10).sum() >= 8
    stands = [np.ptp(drives[drives[:, 0] == seed][-5:, 2]) < 0.3 for seed in range(NUM_STREETS)]
    assert any(stands)  # it does stop before something
    assert not all(stands)


def test_a_blind_planner_does_touch_them() -> None:
    nearest = []
    for seed in range(6):
        street = DrivenStreet(seed)
        for _ in range(100):
            street.move(3.0, 0.0, 0.2)
            nearest.append(street.clearance_m())
    assert min(nearest) < 0


def test_it_stops_before_what_is_ahead_and_where_nothing_is_known() -> None:
    free = np.full(121, np.inf)
    assert steer(free, ANGLES) == (3.0, 0.0)
    wall = np.where(np.abs(ANGLES) < 0.6, 5.0 / np.cos(ANGLES), np.inf)
    assert steer(wall, ANGLES)[0] == pytest.approx(0.0, abs=0.05)
    unknown = free.copy()
    unknown[60] = np.nan
    assert steer(unknown, ANGLES) == (0.0, 0.0)


def test_it_turns_away_from_what_is_aside() -> None:
    right_blocked = np.where((ANGLES < 0.05) & (ANGLES > -0.4), 8.0, np.inf)
    speed, turn = steer(right_blocked, ANGLES)
    assert speed > 0
    assert turn > 0.05
