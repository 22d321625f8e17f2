# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `labelled_cloud`."""

from dataclasses import dataclass

import numpy as np

from hyperseg_core.errors import ConfigError
from hyperseg_ros.node.parameters import camera_problems
from hyperseg_ros.planner.layouts import LAYOUTS
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.pairing import PairRules
from hyperseg_ros.planner.parameter_table import parameter
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import Matrix
from hyperseg_ros.planner.pose import matrix_of_pose


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudParameters:
    """The node's parameters, read at once."""

    autostart: bool = parameter(True, 'Configure and activate without being asked.')
    source: str = parameter(
        'cloud', 'Points of `cloud` (PointCloud2), or of `depth` (Image).',
        choices=('cloud', 'depth'),
    )  # fmt: skip
    cameras: tuple[str, ...] = parameter(
        (), 'Names of cameras, each under a namespace of its own; empty: one camera.'
    )
    label_set: str = parameter(
        '', 'What the ids of the masks mean, by name or file; empty: as `label_info` says.'
    )
    use_confidence: bool = parameter(True, 'Masks wait for the `confidence` of their stamp.')
    is_rectified: bool = parameter(False, 'Masks of rectified images: P, and no distortion.')
    layout: str = parameter('xyzcpe', 'How points lie in `~/points`.', choices=tuple(LAYOUTS))
    class_map: tuple[str, ...] = parameter(
        (), 'NAME:ID of classes or groups as the reader numbers them; others become 255; empty: '
        'our ids.',
    )  # fmt: skip
    remove: tuple[str, ...] = parameter(
        (), 'Classes or groups that `~/points_filtered` and `~/depth_filtered` leave out.'
    )
    pairing: str = parameter(
        'nearest',
        'A cloud and a mask have one stamp, or the nearest.',
        choices=('exact', 'nearest'),
    )
    max_time_difference_s: float = parameter(
        0.1, 'How far apart the nearest stamps may be.', unit='s', low=0, high=10
    )
    wait_s: float = parameter(
        0.5, 'How long a cloud waits for its masks, and for TF.', unit='s', low=0, high=10
    )
    time_offset_s: tuple[float, ...] = parameter(
        (), 'Added to the stamps of each camera [s]; empty: nothing.'
    )
    camera_pose: tuple[float, ...] = parameter(
        (), 'Each camera in the frame of the points: x, y, z [m], roll, pitch, yaw [rad] of its '
        'body axes (x ahead), six numbers a camera; empty: from TF.',
    )  # fmt: skip
    fixed_frame: str = parameter(
        'odom', 'Frame that stands still between both stamps; empty: motion is not worked in.'
    )
    edge_px: int = parameter(
        2, 'Pixels so far from another class are 255.', unit='px', low=0, high=50
    )
    occlusion_cell_px: int = parameter(
        10, 'Side of the cells in which the nearest point hides others; 0: none does.', unit='px',
        low=0, high=200,
    )  # fmt: skip
    occlusion_tolerance_m: float = parameter(
        0.5, 'A point so much farther is not hidden.', unit='m', low=0, high=100
    )
    occlusion_tolerance_share: float = parameter(
        0.1, 'The same as a share of the distance; the larger counts.', low=0, high=1
    )
    max_age_s: float = parameter(
        1.0, 'Older clouds are dropped; 0: never, nor under simulated time.', unit='s', low=0,
        high=3600, is_live=True,
    )  # fmt: skip

    @property
    def paint_rules(self) -> PaintRules:
        """When a pixel is taken to show a point."""
        return PaintRules(
            edge_px=self.edge_px, cell_px=self.occlusion_cell_px,
            tolerance_m=self.occlusion_tolerance_m,
            tolerance_share=self.occlusion_tolerance_share,
        )  # fmt: skip

    @property
    def pair_rules(self) -> PairRules:
        """When a mask belongs to a cloud."""
        return PairRules(
            is_exact=self.pairing == 'exact', max_difference_s=self.max_time_difference_s,
            wait_s=self.wait_s,
        )  # fmt: skip

    @property
    def num_cameras(self) -> int:
        """How many cameras there are."""
        return max(len(self.cameras), 1)

    def offsets_s(self) -> tuple[float, ...]:
        """Return what is added to each camera's stamps [s]."""
        return self.time_offset_s or (0.0,) * self.num_cameras

    def camera_from_points(self) -> list[Matrix]:
        """Return each camera's matrix from `camera_pose`; empty where TF is asked."""
        matrices: list[Matrix] = []
        for start in range(0, len(self.camera_pose), 6):
            pose = matrix_of_pose(self.camera_pose[start : start + 6]) @ BODY_FROM_OPTICAL
            camera_from_body = np.linalg.inv(pose).astype(np.float64)
            # Depth's points are in optical axes, the pose is given in body axes.
            turn = BODY_FROM_OPTICAL if self.source == 'depth' else np.eye(4)
            matrices.append(camera_from_body @ turn)
        return matrices

    def check(self) -> None:
        """Check what the parameters mean together.

        Raises:
            ConfigError: If they cannot work.
        """
        count = self.num_cameras
        if len(self.camera_pose) not in {0, 6 * count}:
            msg = (
                f'Parameter camera_pose has {len(self.camera_pose)} numbers, expected {6 * count}.'
            )
            raise ConfigError(msg)
        if len(self.time_offset_s) not in {0, count}:
            msg = (
                f'Parameter time_offset_s has {len(self.time_offset_s)} numbers, expected {count}.'
            )
            raise ConfigError(msg)
        for problem in camera_problems(self.cameras):
            raise ConfigError(problem)
        if self.source == 'depth' and count > 1:
            msg = 'With `source: depth` there is one camera: leave `cameras` empty.'
            raise ConfigError(msg)
