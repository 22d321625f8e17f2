# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which pixel shows which piece of ground, for as long as a camera stands still in its robot.

A camera sees the ground along rays from its foot, the point of the plane below it: what stands
upright hides what lies behind it on the same ray. So the mask is read on a fan of such rays (A
azimuths, S samples), and grid (Y rows, X columns) and scan (R rays, M samples) look the fan up.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import ConfigError
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.pose import Matrix

Indices = NDArray[np.int32]
Floats = NDArray[np.float32]

_MAX_SAMPLES = 4_000_000
_STEEPEST = 0.1
_FARTHEST_M = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundLayout:
    """What is asked of the ground, in the base frame."""

    angle_min_rad: float = -1.0471975511965976
    angle_max_rad: float = 1.0471975511965976
    num_rays: int = 120
    range_min_m: float = 0.1
    range_max_m: float = 15.0
    resolution_m: float = 0.05
    """Side of a grid's cell, and step along rays."""
    window_m: tuple[float, float, float, float] = (-2.0, -5.0, 8.0, 5.0)
    """The grid's x_min, y_min, x_max, y_max."""
    plane: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 0.0)
    """The ground: its points p have n . p = d, with n the first three numbers and d the last."""
    robot_radius_m: float = 0.3
    """Ground that the robot stands on: the drivable area must touch it."""
    max_pixel_share: float = 0.05
    """Rays end where a pixel covers more than this share of its distance."""
    max_pixel_cells: float = 1.0
    """Cells are unknown where a pixel covers more than so many of them."""

    @property
    def angle_increment_rad(self) -> float:
        """Between neighbouring rays of the scan."""
        return (self.angle_max_rad - self.angle_min_rad) / max(self.num_rays - 1, 1)

    @property
    def grid_shape(self) -> tuple[int, int]:
        """Rows (y) and columns (x) of the grid."""
        x_min, y_min, x_max, y_max = self.window_m
        resolution = self.resolution_m
        return round((y_max - y_min) / resolution), round((x_max - x_min) / resolution)

    def heights(self, x: Floats, y: Floats) -> Floats:
        """Return the plane's height over points of the base frame [m]."""
        nx, ny, nz, d = self.plane
        with np.errstate(all='ignore'):  # of a plane that stands nearly upright
            return ((d - nx * x - ny * y) / nz).astype(np.float32)

    def check(self) -> None:
        """Check what the numbers mean together.

        Raises:
            ConfigError: If they cannot work.
        """
        x_min, y_min, x_max, y_max = self.window_m
        rows, cols = self.grid_shape
        samples = round((self.range_max_m - self.range_min_m) / self.resolution_m)
        is_upright = np.isfinite(self.plane).all() and (
            abs(self.plane[2]) > _STEEPEST * np.abs(self.plane[:2]).max()
        )
        problems = {
            f'plane {list(self.plane)} is not finite or upright': not is_upright,
            f'angles {self.angle_min_rad:g} to {self.angle_max_rad:g} rad are no fan':
                not 0 < self.angle_max_rad - self.angle_min_rad < 2 * np.pi + 1e-6,
            f'range_min {self.range_min_m:g} m is not below range_max {self.range_max_m:g} m':
                not self.range_min_m < self.range_max_m,
            f'window {list(self.window_m)} is not x_min, y_min, x_max, y_max around the robot':
                not (x_min <= 0 < x_max and y_min <= 0 < y_max),
            f'a grid of {rows} x {cols} cells is too large': rows * cols > _MAX_SAMPLES,
            f'{self.num_rays} rays of {samples} samples are too many':
                self.num_rays * samples > _MAX_SAMPLES,
        }  # fmt: skip
        for problem, is_there in problems.items():
            if is_there:
                msg = f'The ground cannot be laid out: {problem}.'
                raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundTable:
    """The look-up tables of one camera pose."""

    layout: GroundLayout
    pixels: Indices
    """(A, S): pixel of each sample of the fan, row * width + column; height * width: none."""
    is_seen: NDArray[np.bool_]
    """(A, S)."""
    first_seen: Indices
    """(A,): first sample that the camera sees."""
    foot: tuple[float, float]
    """x and y of the camera's foot [m]."""
    azimuths_rad: Floats
    """(A,), in the base frame."""
    grid_samples: Indices
    """(Y, X): sample of the fan at each cell, azimuth * S + sample; A * S: none."""
    is_bridge: NDArray[np.bool_]
    """(Y, X): the robot's own ground, and what lies before the first that is seen."""
    scan_samples: Indices
    """(R, M): as `grid_samples`."""
    scan_ranges_m: Floats
    """(M,): distance of the scan's samples from the base."""
    scan_first: Indices
    """(R,): first sample of each ray that is seen; M where none is."""
    sight_m: float
    """How far straight ahead pixels are fine enough for the scan."""


def build_table(lens: Lens, base_from_camera: Matrix, layout: GroundLayout) -> GroundTable:
    """Build the tables for a camera.

    Args:
        lens: The camera's.
        base_from_camera: From its optical frame to the base frame.
        layout: What is asked.

    Raises:
        ConfigError: If the camera sees no ground, or the tables would be too large.
    """
    fan = _Fan.of(lens, base_from_camera, layout)
    step = layout.resolution_m
    num_samples = fan.pixels.size
    grid_x, grid_y = _cell_centres(layout)
    grid_samples = fan.samples(grid_x, grid_y)
    is_fine = np.append(fan.pixel_m <= layout.max_pixel_cells * step * 1.0001, False)
    blind = np.append(np.arange(fan.pixels.shape[1]) < fan.first_seen[:, None], False)
    is_bridge = blind[grid_samples] | _robots_ground(layout, fan.foot, grid_x, grid_y)
    count = max(round((layout.range_max_m - layout.range_min_m) / step), 1)
    ranges = (layout.range_min_m + step * (np.arange(count) + 0.5)).astype(np.float32)
    rays = np.linspace(layout.angle_min_rad, layout.angle_max_rad, layout.num_rays)
    angles = rays.astype(np.float32)[:, None]
    scan_samples = fan.samples(ranges * np.cos(angles), ranges * np.sin(angles))
    scan_seen = np.append(fan.is_seen, False)[scan_samples]
    scan_first = np.where(scan_seen.any(1), scan_seen.argmax(1), count).astype(np.int32)
    ahead = fan.is_seen[np.abs(fan.relative_rad).argmin()]
    return GroundTable(
        layout=layout, pixels=fan.pixels, is_seen=fan.is_seen, first_seen=fan.first_seen,
        foot=fan.foot, azimuths_rad=fan.azimuths_rad,
        grid_samples=np.where(is_fine[grid_samples], grid_samples, num_samples).astype(np.int32),
        is_bridge=is_bridge, scan_samples=scan_samples, scan_ranges_m=ranges,
        scan_first=scan_first, sight_m=float(step * (np.flatnonzero(ahead).max(initial=-1) + 1)),
    )  # fmt: skip


def _cell_centres(layout: GroundLayout) -> tuple[Floats, Floats]:
    """Return x and y of the cells' middles, (Y, X) each."""
    rows, cols = layout.grid_shape
    x = layout.window_m[0] + layout.resolution_m * (np.arange(cols, dtype=np.float32) + 0.5)
    y = layout.window_m[1] + layout.resolution_m * (np.arange(rows, dtype=np.float32) + 0.5)
    grid_x, grid_y = np.meshgrid(x, y)
    return grid_x, grid_y


def _robots_ground(
    layout: GroundLayout, foot: tuple[float, float], x: Floats, y: Floats
) -> NDArray[np.bool_]:
    """Return the cells under the robot, and those between it and the camera's foot, (Y, X)."""
    line = np.zeros(x.shape, np.uint8)
    x_min, y_min, _, _ = layout.window_m
    ends = [
        (int((px - x_min) / layout.resolution_m), int((py - y_min) / layout.resolution_m))
        for px, py in ((0.0, 0.0), foot)
    ]
    cv2.line(line, ends[0], ends[1], 1, 2)
    return (np.hypot(x, y) <= layout.robot_radius_m) | (line > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fan:
    """Rays on the ground from a camera's foot; see GroundTable for the fields."""

    step_m: float
    foot: tuple[float, float]
    ahead_rad: float
    relative_rad: Floats
    """(A,), from `ahead_rad`, evenly spaced."""
    pixels: Indices
    is_seen: NDArray[np.bool_]
    first_seen: Indices
    pixel_m: Floats
    """(A, S): how much ground a pixel covers along the ray [m]."""

    @property
    def azimuths_rad(self) -> Floats:
        return (self.relative_rad + self.ahead_rad).astype(np.float32)

    @staticmethod
    def of(lens: Lens, base_from_camera: Matrix, layout: GroundLayout) -> '_Fan':
        camera = base_from_camera[:3, 3]
        if not np.abs(camera).max() < _FARTHEST_M:
            msg = f'The camera is at {camera.tolist()} m in the base frame, which cannot be.'
            raise ConfigError(msg)
        up = np.array(layout.plane) / np.copysign(
            np.linalg.norm(layout.plane[:3]), layout.plane[2]
        )
        normal = up[:3]
        above = float(normal @ camera - up[3])
        if not above > 0:
            msg = (
                f'The camera is {abs(above):.2f} m below the plane: look at z of its pose, '
                f'from TF or camera_pose, and at ground_plane.'
            )
            raise ConfigError(msg)
        foot = camera - above * normal
        axis = base_from_camera[:3, 2]
        ahead_rad = float(np.arctan2(axis[1], axis[0])) if np.hypot(*axis[:2]) > 1e-3 else 0.0
        shape = _Shape(lens, base_from_camera, layout, (float(foot[0]), float(foot[1])), ahead_rad)
        x_min, y_min, x_max, y_max = layout.window_m
        corners = np.array([(x, y) for x in (x_min, x_max) for y in (y_min, y_max)]) - foot[:2]
        window_m = float(np.hypot(*corners.T).max())
        reach_m = max(layout.range_max_m + float(np.hypot(*foot[:2])), window_m)
        step = layout.resolution_m
        low, high = shape.seen_azimuths(reach_m)
        spacing = min(layout.angle_increment_rad / 2, step / window_m)
        relative = np.arange(low, high + spacing, spacing, dtype=np.float32)
        count = int(np.ceil(reach_m / step))
        if len(relative) * count > _MAX_SAMPLES:
            msg = (
                f'The ground would need {len(relative)} x {count} samples; use a larger '
                f'resolution than {step:g} m, or a smaller range_max.'
            )
            raise ConfigError(msg)
        radii = (step * (np.arange(count, dtype=np.float32) + 0.5)).astype(np.float32)
        places, is_seen = shape.project(relative[:, None], radii[None, :])
        along = np.linalg.norm(np.diff(places, axis=1), axis=-1)
        along = np.concatenate((along, along[:, -1:]), axis=1)
        with np.errstate(all='ignore'):  # places that are not seen are anything
            pixel_m = (step / along).astype(np.float32)
        is_seen &= pixel_m <= layout.max_pixel_share * radii
        if not is_seen.any():
            msg = (
                f'No pixel shows the ground finely enough: a larger max_pixel_share than '
                f'{layout.max_pixel_share:g} is needed, or a higher camera.'
            )
            raise ConfigError(msg)
        columns, rows = np.rint(np.where(is_seen[..., None], places, 0)).astype(np.int32).T
        nowhere = lens.height * lens.width
        pixels = np.where(is_seen, rows.T * lens.width + columns.T, nowhere).astype(np.int32)
        first = np.where(is_seen.any(1), is_seen.argmax(1), count).astype(np.int32)
        return _Fan(
            step_m=step, foot=shape.foot, ahead_rad=ahead_rad, relative_rad=relative,
            pixels=pixels, is_seen=is_seen, first_seen=first, pixel_m=pixel_m,
        )  # fmt: skip

    def samples(self, x: Floats, y: Floats) -> Indices:
        """Return the nearest sample to points of the base frame, azimuth * S + sample."""
        dx, dy = x - np.float32(self.foot[0]), y - np.float32(self.foot[1])
        turn = np.arctan2(dy, dx) - np.float32(self.ahead_rad)
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        spacing = float(self.relative_rad[1] - self.relative_rad[0])
        azimuth = np.rint((turn - self.relative_rad[0]) / spacing).astype(np.int32)
        sample = (np.hypot(dx, dy) / self.step_m).astype(np.int32)
        num_azimuths, num_samples = self.pixels.shape
        is_in = (azimuth >= 0) & (azimuth < num_azimuths) & (sample < num_samples)
        inside = azimuth * num_samples + sample
        return np.where(is_in, inside, num_azimuths * num_samples).astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the fan's points are projected with."""

    lens: Lens
    base_from_camera: Matrix
    layout: GroundLayout
    foot: tuple[float, float]
    ahead_rad: float

    def project(
        self, relative_rad: Floats, radii_m: Floats
    ) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        """Return the pixels (A, S, 2) of points of the fan, and which are seen (A, S)."""
        azimuth = relative_rad + np.float32(self.ahead_rad)
        x = np.float32(self.foot[0]) + radii_m * np.cos(azimuth)
        y = np.float32(self.foot[1]) + radii_m * np.sin(azimuth)
        points = np.stack((x, y, self.layout.heights(x, y)), axis=-1)
        rotation = self.base_from_camera[:3, :3].astype(np.float32)
        # Row vectors: p_camera = R^T (p_base - t).
        inside = (points - self.base_from_camera[:3, 3].astype(np.float32)) @ rotation
        return self.lens.project(inside)

    def seen_azimuths(self, reach_m: float) -> tuple[float, float]:
        """Return the range of azimuths that the camera sees, in which the fan lies.

        Raises:
            ConfigError: If it sees no ground.
        """
        turns = np.linspace(-np.pi, np.pi, 361, dtype=np.float32)
        radii = np.geomspace(0.05, max(reach_m, 0.1), 120, dtype=np.float32)
        _, is_seen = self.project(turns[:, None], radii[None, :])
        seen = turns[is_seen.any(1)]
        if not len(seen):
            msg = (
                f'The camera sees no ground within {reach_m:.1f} m: look at its height and pitch, '
                f'from TF or camera_pose, and at the plane.'
            )
            raise ConfigError(msg)
        margin = float(turns[1] - turns[0])
        return max(float(seen[0]) - margin, -np.pi), min(float(seen[-1]) + margin, np.pi)
