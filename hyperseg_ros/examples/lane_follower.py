# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follow the lane and stop before obstacles: a planner in 40 lines, on the scan of `ground`."""

from geometry_msgs.msg import TwistStamped
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import LaserScan

from hyperseg_ros.process.running import run_node

HEADINGS_RAD = np.linspace(-0.3, 0.3, 25)
HALF_WIDTH_M, STOP_M, SEE_M, SPEED_MPS = 1.2, 5.0, 10.0, 3.0


def steer(ranges: NDArray[np.float64], angles: NDArray[np.float64]) -> tuple[float, float]:
    """Return speed [m/s] and turn [rad/s] for a scan: finite contact, +inf free, NaN unknown."""
    if np.isnan(ranges[np.abs(angles) < 0.2]).any():
        return 0.0, 0.0  # unknown is not free
    is_contact = np.isfinite(ranges)
    near, bearing = ranges[is_contact], angles[is_contact]
    x, y = near * np.cos(bearing), near * np.sin(bearing)
    # How far a vehicle of our width gets along each heading.
    cos, sin = np.cos(HEADINGS_RAD)[:, None], np.sin(HEADINGS_RAD)[:, None]
    along, aside = x * cos + y * sin, np.abs(y * cos - x * sin)
    free = np.where((aside < HALF_WIDTH_M) & (along > 0), along, SEE_M).min(1, initial=SEE_M)
    best = int(np.argmax(free - 3 * np.abs(HEADINGS_RAD)))
    ahead = free[np.abs(HEADINGS_RAD).argmin()]
    speed = SPEED_MPS * float(np.clip((min(ahead, free[best]) - STOP_M) / 4, 0, 1))
    return speed, float(0.8 * HEADINGS_RAD[best]) if speed else 0.0


class LaneFollower(Node):
    """Listens to `scan`, publishes `cmd_vel` with the stamp of what it has seen."""

    def __init__(self) -> None:
        """Subscribe."""
        super().__init__('lane_follower')
        self._publisher = self.create_publisher(TwistStamped, 'cmd_vel', 2)
        self.create_subscription(LaserScan, 'scan', self._on_scan, 2)

    def _on_scan(self, message: LaserScan) -> None:
        angles = message.angle_min + message.angle_increment * np.arange(len(message.ranges))
        command = TwistStamped(header=message.header)
        command.twist.linear.x, command.twist.angular.z = steer(
            np.array(message.ranges, np.float64), angles
        )
        self._publisher.publish(command)


def main() -> None:
    """Run until interrupted."""
    run_node(LaneFollower, None)


if __name__ == '__main__':
    main()
