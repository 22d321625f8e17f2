# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered street that somebody else drives along: commands in, frames and clearance out.

Traffic and people stand still; the vehicle is a small one, with its camera above its base.
"""

from dataclasses import replace

import numpy as np

from hyperseg_core.drive.plan import StreetPlan
from hyperseg_core.drive.scene import DriveFrame
from hyperseg_core.drive.scene import DriveScene

HALF_WIDTH_M, FRONT_M, BACK_M = 0.6, 0.5, 0.9
CAMERA_HEIGHT_M = 1.5
_TIME_S = 2.0
"""When the street is stopped."""
_CLEAR_M = 10.0
"""So much room is ahead where a drive begins."""


class DrivenStreet:
    """One vehicle in one street."""

    def __init__(self, seed: int, *, height: int = 240, width: int = 320) -> None:
        """Put the vehicle into its lane, where it has room.

        Args:
            seed: Of the street.
            height: Of its frames [px].
            width: Of its frames [px].
        """
        self._scene = DriveScene(seed, height=height, width=width)
        start = self._scene.pose(_TIME_S)
        self.pose = replace(start, yaw_rad=np.float64(0.0), height_m=CAMERA_HEIGHT_M)
        while self._plan().clearance_m(HALF_WIDTH_M + 0.2, _CLEAR_M, 3.0) <= 0:
            self.pose = replace(self.pose, z_m=self.pose.z_m + 2.0)

    def _plan(self) -> StreetPlan:
        return self._scene.plan(_TIME_S, self.pose)

    def frame(self) -> DriveFrame:
        """Render what the camera sees now."""
        return self._scene.frame(_TIME_S, self.pose)

    def move(self, speed_mps: float, turn_radps: float, duration_s: float) -> None:
        """Drive; a positive turn goes to the left."""
        middle = self.pose.yaw_rad - turn_radps * duration_s / 2
        self.pose = replace(
            self.pose,
            x_m=self.pose.x_m + speed_mps * duration_s * np.sin(middle),
            z_m=self.pose.z_m + speed_mps * duration_s * np.cos(middle),
            yaw_rad=self.pose.yaw_rad - turn_radps * duration_s,
        )

    def clearance_m(self) -> float:
        """Return the room to the nearest kerb or thing; 0 or less where it touches [m]."""
        return self._plan().clearance_m(HALF_WIDTH_M, FRONT_M, BACK_M)
