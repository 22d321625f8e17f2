# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A lidar in a rendered street: points on what its beams meet first, and their true classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.canvas import SKY
from hyperseg_core.drive.plan import DrivePose
from hyperseg_core.drive.scene import DriveScene


@dataclass(frozen=True, kw_only=True, slots=True)
class LidarBeams:
    """Where a lidar looks, of what a rendered street shows ahead of it."""

    num_rings: int = 64
    lowest_rad: float = -0.35
    highest_rad: float = 0.09
    azimuth_step_rad: float = 0.0035
    """0.2 degrees: ten turns a second of common lidars."""
    half_angle_rad: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class LidarSweep:
    """What a lidar measures at one moment."""

    points: NDArray[np.float32]
    """(N, 3) in its body's axes: x ahead, y to the left, z up [m]."""
    labels: NDArray[np.uint8]
    """(N,): true ids."""


def sweep(
    scene: DriveScene, time_s: float, pose: DrivePose, beams: LidarBeams | None = None
) -> LidarSweep:
    """Measure a street from a pose.

    Args:
        scene: The street, rendered finer than the beams are apart.
        time_s: Time from its start [s].
        pose: Of the lidar; its height is above the ground.
        beams: Where it looks.
    """
    beams = beams or LidarBeams()
    frame = scene.frame(time_s, pose)
    height, width = frame.labels.shape
    focal_px, centre_x, centre_y = frame.camera_matrix[(0, 0, 1), (0, 2, 2)]
    count = int(2 * beams.half_angle_rad / beams.azimuth_step_rad)
    azimuth = np.linspace(-beams.half_angle_rad, beams.half_angle_rad, count)[:, None]
    elevation = np.linspace(beams.lowest_rad, beams.highest_rad, beams.num_rings)[None, :]
    columns = np.rint(centre_x + focal_px * np.tan(azimuth) + 0 * elevation).astype(int)
    slope = np.tan(elevation) / np.cos(azimuth)
    rows = np.rint(centre_y - focal_px * slope).astype(int)
    is_in = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    rows, columns = rows[is_in], columns[is_in]
    labels, depth = frame.labels[rows, columns], frame.depth[rows, columns]
    is_met = labels != SKY
    rows, columns, labels, depth = (item[is_met] for item in (rows, columns, labels, depth))
    # Of the pixel's own ray, not the beam's: there the surface is exactly as deep as rendered.
    points = np.stack(
        (depth, -depth * (columns - centre_x) / focal_px, -depth * (rows - centre_y) / focal_px),
        axis=1,
    )
    return LidarSweep(points=points.astype(np.float32), labels=labels)
