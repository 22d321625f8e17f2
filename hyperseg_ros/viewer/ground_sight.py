# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where points of the ground are in the picture: by the same numbers that the node `ground` uses.

Its parameters say where the camera is, or that TF does; CameraInfo says how the lens bends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.lens import lens_of
from hyperseg_ros.planner.mask_input import numbers_of
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import Matrix
from hyperseg_ros.planner.pose import matrix_of_pose
from hyperseg_ros.planner.transforms import Transforms
from hyperseg_ros.viewer.pairing import Stamp
from hyperseg_ros.viewer.planners import Ground

PARAMETERS = ('camera_pose', 'is_rectified', 'ground_plane')
"""Of the node `ground`, which say where its points are in the picture."""
_STEP_M = 0.05
_MAX_STEPS = 2000
"""Pieces of an outline: lenses bend straight edges."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a camera sees of the ground at a stamp."""

    mask: str
    """Topic of its mask."""
    lens: Lens
    camera_from_base: Matrix
    plane: tuple[float, ...]
    """Normal and distance [m] of the ground in the base frame."""

    def on_ground(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points (N, 2) [m] of the base frame with their heights, (N, 3)."""
        nx, ny, nz, distance = self.plane
        with np.errstate(all='ignore'):  # points of a plane that stands upright are not seen
            heights = (distance - nx * points[:, 0] - ny * points[:, 1]) / np.float64(nz)
        return np.column_stack((points, heights))

    def shares(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return where points (N, 3) [m] of the base frame are in the picture.

        Returns:
            (N, 2) as shares of width and height, and (N) whether they are in the picture.
        """
        rotation, shift = self.camera_from_base[:3, :3], self.camera_from_base[:3, 3]
        pixels, is_seen = self.lens.project(points @ rotation.T + shift)
        found = (pixels + 0.5) / (self.lens.width, self.lens.height)
        return np.asarray(found, np.float64), is_seen

    def lines(self, corners: NDArray[np.float64]) -> list[list[list[float]]]:
        """Return the seen parts of a closed outline (N, 3) [m], as shares."""
        if not len(corners):
            return []
        found, is_seen = self.shares(_fine(corners))
        places = found.round(4).tolist()
        lines: list[list[list[float]]] = [[]]
        for place, is_there in zip(places, is_seen.tolist(), strict=True):
            if is_there:
                lines[-1].append(place)
            elif lines[-1]:
                lines.append([])
        return [line for line in lines if len(line) > 1]


def _fine(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an outline (N, 3) [m] in short steps, closed."""
    ends = np.roll(corners, -1, axis=0)
    lengths_m = np.linalg.norm(ends - corners, axis=1)
    step_m = max(_STEP_M, float(lengths_m.sum()) / _MAX_STEPS)
    counts = np.ceil(lengths_m / step_m).astype(int).clip(1)
    edge = np.repeat(np.arange(len(corners)), counts)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (place / counts[edge])[:, None]
    return np.concatenate((corners[edge] * (1 - share) + ends[edge] * share, corners[:1]))


class GroundSight:
    """Listens to the CameraInfo of a ground's camera, and to TF where its pose comes from there.

    Made and changed in the ROS thread; asked in that which encodes.
    """

    def __init__(self, node: Node) -> None:
        """Take our node; nothing is subscribed to yet."""
        self._node = node
        self._ground: Ground | None = None
        self._values: Mapping[str, Any] = {}
        self._subscription: Any = None
        self._transforms: Transforms | None = None
        self._info: CameraInfo | None = None
        self._lens: tuple[Any, Lens] | None = None
        self._failure = ''

    def update(self, ground: Ground, values: Mapping[str, Any]) -> None:
        """Listen to what is needed now.

        Args:
            ground: The node, with the topics of its camera.
            values: Those of its parameters in `PARAMETERS`; empty where they are not known.
        """
        if self._ground is None or self._ground.camera_info != ground.camera_info:
            self._listen(ground.camera_info)
        self._ground, self._values = ground, values
        needs_tf = bool(values) and not values['camera_pose']
        if needs_tf and self._transforms is None and not self._failure:
            try:
                self._transforms = Transforms(self._node)
            except HyperSegError as error:  # tf2_ros is not installed
                self._failure = str(error)
        elif not needs_tf:
            self._forget_tf()

    def _listen(self, topic: str) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription, self._info = None, None
        if topic:
            qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
            self._subscription = self._node.create_subscription(
                CameraInfo, topic, self._on_info, qos
            )

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _forget_tf(self) -> None:
        self._failure = ''
        if self._transforms is not None:
            self._transforms.close()
            self._transforms = None

    def at(self, stamp: Stamp, base_frame: str) -> Sight:
        """Return what is seen at a stamp.

        Args:
            stamp: Of the mask.
            base_frame: That of the points.

        Raises:
            InputError: If that is not known, with the reason.
        """
        ground, values, info = self._ground, self._values, self._info
        if ground is None or not ground.mask:
            msg = 'it is not known which mask and camera_info the node reads'
            raise InputError(msg)
        if not values:
            msg = f'{ground.name} does not tell its parameters {", ".join(PARAMETERS)}'
            raise InputError(msg)
        if info is None:
            msg = f'nothing has come on {ground.camera_info}'
            raise InputError(msg)
        pose = self._pose(values['camera_pose'], stamp, base_frame, info.header.frame_id)
        camera_from_base: Matrix = np.linalg.inv(pose).astype(np.float64)
        lens = self._lens_of(info, is_rectified=bool(values['is_rectified']))
        return Sight(ground.mask, lens, camera_from_base, tuple(values['ground_plane']))

    def _pose(self, pose: Any, stamp: Stamp, base_frame: str, camera_frame: str) -> Matrix:
        if pose:
            return matrix_of_pose(pose) @ BODY_FROM_OPTICAL
        transforms = self._transforms
        if transforms is None:
            raise InputError(self._failure or 'TF has not been heard yet')
        return transforms.matrix(base_frame, camera_frame, stamp[0] * 10**9 + stamp[1])

    def _lens_of(self, info: CameraInfo, *, is_rectified: bool) -> Lens:
        key = (numbers_of(info), is_rectified)
        if self._lens is None or self._lens[0] != key:
            height, width = info.roi.height or info.height, info.roi.width or info.width
            self._lens = (key, lens_of(info, height, width, is_rectified=is_rectified))
        return self._lens[1]

    def close(self) -> None:
        """Listen to nothing any more."""
        self._listen('')
        self._forget_tf()
