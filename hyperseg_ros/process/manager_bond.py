# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bond with Nav2's lifecycle manager, which so sees that the node is gone.

The manager bonds on the topic `bond` under the node's name (nav2_lifecycle_manager). Package
bondpy does the work; ROS distributions from Jazzy on have it.
"""

from typing import Any

from rclpy.node import Node

from hyperseg_core.errors import ConfigError

TOPIC = 'bond'
_HEARTBEAT_S = 0.1
"""What Nav2's own nodes use."""
_NEVER_S = float(2**31)
"""A manager may come late, or go: what it does not manage goes on, as Nav2's own nodes do."""


def check_bonding() -> None:
    """Check that a bond can be made here.

    Raises:
        ConfigError: If bondpy is not installed.
    """
    try:
        import bondpy.bondpy  # noqa: F401
    except ImportError as error:
        msg = (
            f'Parameter bond is true, but {error.name or "bondpy"} is not installed: '
            f'`sudo apt install ros-$ROS_DISTRO-bondpy` (from Jazzy on), or set bond to false '
            f"and the lifecycle manager's bond_timeout to 0.0."
        )
        raise ConfigError(msg) from error


class ManagerBond:
    """The node's end of the bond, while the node is active."""

    def __init__(self, node: Node) -> None:
        """Start to look for the manager; there need not be one.

        Raises:
            ConfigError: If bondpy is not installed.
        """
        check_bonding()
        from bondpy.bondpy import Bond

        self._node, log = node, node.get_logger()
        self._bond: Any = Bond(
            node, TOPIC, node.get_name(),
            on_broken=lambda: log.info('The bond with the lifecycle manager ended.'),
            on_formed=lambda: log.info('Bonded with the lifecycle manager.'),
        )  # fmt: skip
        self._bond.heartbeat_period = _HEARTBEAT_S
        self._bond.connect_timeout = self._bond.heartbeat_timeout = _NEVER_S
        self._bond.start()

    def end(self) -> None:
        """Tell the manager that the node leaves on purpose."""
        self._bond.shutdown()
        # bondpy destroys them, but the node would keep them in its lists.
        self._node.destroy_subscription(self._bond.sub)
        self._node.destroy_publisher(self._bond.pub)
