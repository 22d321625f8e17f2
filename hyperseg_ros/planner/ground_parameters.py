# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `ground`."""

from dataclasses import dataclass

from hyperseg_core.errors import ConfigError
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.parameter_table import parameter


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundParameters:
    """The node's parameters, read at once."""

    autostart: bool = parameter(True, 'Configure and activate without being asked.')
    base_frame: str = parameter('base_footprint', 'Frame of the outputs, on the ground.')
    camera_pose: tuple[float, ...] = parameter(
        (), 'The camera in `base_frame`: x, y, z [m], roll, pitch, yaw [rad] of its body axes (x '
        'ahead); empty: from TF, at the stamp of the mask.', length=(0, 6),
    )  # fmt: skip
    label_set: str = parameter(
        '', 'What the ids of the masks mean, by name or file; empty: as `label_info` says.'
    )
    drivable: tuple[str, ...] = parameter(
        ('drivable',), 'Classes or groups to drive on.', is_live=False
    )
    is_rectified: bool = parameter(False, 'Masks of rectified images: P, and no distortion.')
    min_confidence: float = parameter(
        0.0, 'Pixels with a lower probability are unknown; 0: `confidence` is not asked.', low=0,
        high=1,
    )  # fmt: skip
    ground_plane: tuple[float, ...] = parameter(
        (0.0, 0.0, 1.0, 0.0), 'Normal (3 numbers) and distance [m] of the ground in `base_frame`.',
        length=(4,),
    )  # fmt: skip
    angle_min: float = parameter(
        -1.0471975511965976, 'First ray of the scan.', unit='rad', low=-6.2832, high=6.2832
    )
    angle_max: float = parameter(
        1.0471975511965976, 'Last ray of the scan.', unit='rad', low=-6.2832, high=6.2832
    )
    num_rays: int = parameter(120, 'Rays of the scan.', low=2, high=10_000)
    range_min: float = parameter(0.1, 'Nearest contact.', unit='m', low=0, high=100)
    range_max: float = parameter(
        15.0, 'Farthest contact; choose it beyond the costmap.', unit='m', low=0.2, high=500
    )
    resolution: float = parameter(
        0.05, 'Side of the cells of the grid, and step along rays.', unit='m', low=0.01, high=2
    )
    grid_window: tuple[float, ...] = parameter(
        (-2.0, -5.0, 8.0, 5.0), 'x_min, y_min, x_max, y_max of the grid around the robot [m].',
        length=(4,),
    )  # fmt: skip
    robot_radius: float = parameter(
        0.3, 'Ground that the robot stands on; the free area touches it.', unit='m', low=0,
        high=20,
    )  # fmt: skip
    close_holes: float = parameter(
        0.3, 'Holes in drivable ground up to this length along a ray are closed; also hides what '
        'is so low.', unit='m', low=0, high=5, is_live=True,
    )  # fmt: skip
    max_gap: float = parameter(
        0.5, 'Unknown ground that a ray may cross.', unit='m', low=0, high=100, is_live=True
    )
    max_pixel_share: float = parameter(
        0.05, 'Rays end where a pixel covers more than this share of its distance.', low=0.001,
        high=1,
    )  # fmt: skip
    max_pixel_cells: float = parameter(
        1.0, 'Cells are unknown where a pixel covers more than so many.', low=0.1, high=100
    )
    rebuild_m: float = parameter(
        0.005, 'The table is kept until the camera has moved so far in the robot.', unit='m',
        low=0, high=1, is_live=True,
    )  # fmt: skip
    rebuild_rad: float = parameter(
        0.002, 'The same for turns.', unit='rad', low=0, high=1, is_live=True
    )
    tf_wait_s: float = parameter(
        0.2, 'How long a mask waits for its TF.', unit='s', low=0, high=10, is_live=True
    )
    max_age_s: float = parameter(
        1.0, 'Older masks are dropped; 0: never, nor under simulated time.', unit='s', low=0,
        high=3600, is_live=True,
    )  # fmt: skip

    def layout(self) -> GroundLayout:
        """Return what is asked of the ground.

        Raises:
            ConfigError: If the numbers do not fit together.
        """
        x_min, y_min, x_max, y_max = self.grid_window
        nx, ny, nz, distance = self.ground_plane
        layout = GroundLayout(
            angle_min_rad=self.angle_min, angle_max_rad=self.angle_max, num_rays=self.num_rays,
            range_min_m=self.range_min, range_max_m=self.range_max, resolution_m=self.resolution,
            window_m=(x_min, y_min, x_max, y_max), plane=(nx, ny, nz, distance),
            robot_radius_m=self.robot_radius, max_pixel_share=self.max_pixel_share,
            max_pixel_cells=self.max_pixel_cells,
        )  # fmt: skip
        layout.check()
        if not self.base_frame:
            msg = 'Parameter base_frame is empty, expected the name of a frame on the ground.'
            raise ConfigError(msg)
        if not self.drivable:
            msg = 'Parameter drivable is empty, expected classes or groups, e.g. [drivable].'
            raise ConfigError(msg)
        return layout
