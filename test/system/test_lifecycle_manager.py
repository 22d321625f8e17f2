# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under Nav2's lifecycle manager: what that asks of a node, in its order."""

from pathlib import Path
import subprocess
import sys
import time
from typing import Any
import uuid

import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from node_client import Client
from node_client import environment
from node_client import node_process

_MANAGED = ('-p', 'autostart:=false', '-p', 'bond:=true')
_HEARTBEAT_TIMEOUT_S = 4.0
"""The manager's bond_timeout."""


def change(client: Client, transition: int) -> int:
    """Ask for a transition as the manager does, and return the state after it."""
    request = ChangeState.Request(transition=Transition(id=transition))
    assert client.call(ChangeState, '/segmenter/change_state', request, 40).success
    state = client.call(GetState, '/segmenter/get_state', GetState.Request(), 40).current_state
    return int(state.id)


class ManagerEnd:
    """The manager's end of the bond, as bondcpp has it: heartbeats, and a limit for the node's."""

    def __init__(self, client: Client) -> None:
        from bond.msg import Status

        self._message = Status(id='segmenter', instance_id=str(uuid.uuid4()), active=True)
        self._publisher = client.node.create_publisher(Status, 'bond', 1)
        client.node.create_subscription(Status, 'bond', self._on_status, 1)
        client.node.create_timer(0.25, lambda: self._publisher.publish(self._message))
        self._last_s, self._said_goodbye = float('inf'), False

    def _on_status(self, message: Any) -> None:
        if message.id == 'segmenter' and message.instance_id != self._message.instance_id:
            self._last_s, self._said_goodbye = time.monotonic(), not message.active

    def is_formed(self) -> bool:
        return self._last_s < float('inf') and not self.is_broken()

    def is_broken(self) -> bool:
        return self._said_goodbye or time.monotonic() - self._last_s > _HEARTBEAT_TIMEOUT_S


def test_manager_brings_the_node_up_bonds_and_takes_it_down(
    bondpy: None, client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    log = tmp_path / 'log'
    with node_process(small_checkpoint, log, *_MANAGED):
        bond = ManagerEnd(client)
        for _ in range(2):  # Nav2 resets and starts its nodes again
            configure, activate = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE
            assert change(client, configure) == State.PRIMARY_STATE_INACTIVE
            assert change(client, activate) == State.PRIMARY_STATE_ACTIVE
            assert client.wait(bond.is_formed, 20)
            client.spin(2 * _HEARTBEAT_TIMEOUT_S)
            assert bond.is_formed()
            deactivate = Transition.TRANSITION_DEACTIVATE
            assert change(client, deactivate) == State.PRIMARY_STATE_INACTIVE
            assert client.wait(bond.is_broken, 20)
            cleanup = Transition.TRANSITION_CLEANUP
            assert change(client, cleanup) == State.PRIMARY_STATE_UNCONFIGURED
    assert log.read_text().count('Bonded with the lifecycle manager') == 2
    assert 'Traceback' not in log.read_text()


def test_killed_node_is_noticed_by_its_bond(
    bondpy: None, client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable, '-m', 'hyperseg_ros.node.segmenter_node', '--ros-args',
        '-p', f'checkpoint:={small_checkpoint}', '-p', 'bond:=true',
    ]  # fmt: skip
    with (tmp_path / 'log').open('wb') as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    try:
        bond = ManagerEnd(client)
        assert client.wait(bond.is_formed, 40)
    finally:
        child.kill()
        child.wait()
    assert client.wait(bond.is_broken, 20)


def test_bond_without_bondpy_says_what_to_install(
    client: Client, small_checkpoint: Path, tmp_path: Path
) -> None:
    hidden = tmp_path / 'hidden'
    (hidden / 'bondpy').mkdir(parents=True)
    (hidden / 'bondpy/__init__.py').write_text("raise ImportError('not here', name='bondpy')\n")
    statuses = client.diagnostics()
    with node_process(
        small_checkpoint, tmp_path / 'log', '-p', 'bond:=true',
        variables={'PYTHONPATH': str(hidden)},
    ):  # fmt: skip
        assert client.wait(
            lambda: any('bondpy' in item.message for array in statuses for item in array.status),
            40,
        )
    assert 'apt install ros-$ROS_DISTRO-bondpy' in (tmp_path / 'log').read_text()
