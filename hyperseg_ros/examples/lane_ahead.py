# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is the lane ahead drivable? A planner's smallest use of a mask."""

import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from hyperseg_core import load_labels


def is_drivable(mask: NDArray[np.uint8], drivable: tuple[int, ...], share: float = 0.9) -> bool:
    """Tell whether the middle third of the lower quarter of a mask is road."""
    height, width = mask.shape
    ahead = mask[height * 3 // 4 :, width // 3 : width * 2 // 3]
    return bool(np.isin(ahead, drivable).mean() >= share)


class LaneAhead(Node):
    """Listens to `mask`, publishes `drivable`."""

    def __init__(self) -> None:
        """Subscribe; the ids of `drivable` come from the label set."""
        super().__init__('lane_ahead')
        self._drivable = load_labels('camvid').ids(['drivable'])
        self._publisher = self.create_publisher(Bool, 'drivable', 10)
        self.create_subscription(Image, '/segmenter/mask', self._on_mask, 2)

    def _on_mask(self, message: Image) -> None:
        rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
        mask = rows[:, : message.width]
        self._publisher.publish(Bool(data=is_drivable(mask, self._drivable)))


def main() -> None:
    """Run until interrupted."""
    rclpy.init()
    rclpy.spin(LaneAhead())


if __name__ == '__main__':
    main()
