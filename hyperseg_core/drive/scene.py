# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A street from a seed, and the frame that a car's camera would see of it at a time.

Road, pavements and the rows of houses, hedges and fences beside them are ray-cast: the camera
does not pitch or roll, so each image column meets each vertical plane at one distance. What
stands in the street is painted over them, from far to near.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.canvas import BUILDING
from hyperseg_core.drive.canvas import FENCE
from hyperseg_core.drive.canvas import PAVEMENT
from hyperseg_core.drive.canvas import ROAD
from hyperseg_core.drive.canvas import SKY
from hyperseg_core.drive.canvas import TREE
from hyperseg_core.drive.canvas import Canvas
from hyperseg_core.drive.canvas import Colour
from hyperseg_core.drive.objects import Thing
from hyperseg_core.drive.objects import View
from hyperseg_core.drive.objects import paint
from hyperseg_core.drive.plan import NEAREST_M
from hyperseg_core.drive.plan import STREET_LENGTH_M
from hyperseg_core.drive.plan import DrivePose
from hyperseg_core.drive.plan import StreetPlan
from hyperseg_core.drive.plan import plan_of

Array = NDArray[np.float32]

_LOT_M = 10.0
_LOTS = int(STREET_LENGTH_M / _LOT_M)
_HAZE_DISTANCE_M = 220.0
_FAR_M = 150.0
_NOISE_SIZE = 512
_HOUSE, _HEDGE, _FENCED = range(3)


@dataclass(frozen=True, slots=True)
class DriveFrame:
    """What the camera sees."""

    image: NDArray[np.uint8]
    """(H, W, 3), RGB."""
    labels: NDArray[np.uint8]
    """(H, W), CamVid's 11 ids."""
    depth: NDArray[np.float32]
    """(H, W), distance along the optical axis [m]; infinite in the sky."""
    camera_matrix: NDArray[np.float64]
    """(3, 3), pinhole, [px]; as ROS and OpenCV have it, the first pixel's centre is (0, 0)."""


class DriveScene:
    """A street that goes on for ever, driven along at a steady speed."""

    def __init__(self, seed: int, *, height: int = 480, width: int = 640) -> None:
        """Lay the street out.

        Args:
            seed: The same seed gives the same street, light and noise.
            height: Image height [px].
            width: Image width [px].
        """
        self._rng = rng = np.random.default_rng(seed)
        self._seed, self._height, self._width = seed, height, width
        self._focal_px = width * rng.uniform(0.75, 1.0)
        self._horizon_px = height * rng.uniform(0.38, 0.5)
        self._camera_height_m = rng.uniform(1.2, 1.7)
        self._speed_mps = rng.uniform(5.0, 11.0)
        self._lane_m = rng.uniform(3.0, 3.7)
        self._camera_x_m = self._lane_m / 2 * rng.choice((-1.0, 1.0))
        self._road_m = self._lane_m + rng.choice((0.2, 2.3))
        self._pavement_m = self._road_m + rng.uniform(2.0, 4.5)
        self._noise = _smooth_noise(rng)
        self._light = rng.uniform(0.65, 1.15)
        self._tint = rng.uniform(0.94, 1.06, 3).astype(np.float32)
        self._sun_side = rng.choice((-1, 1))
        self._is_sunny = bool(rng.random() < 0.6)
        self._sky = _sky_colours(rng, is_sunny=self._is_sunny)
        self._lots = [_Lots.draw(rng) for _ in range(2)]
        self._asphalt = rng.uniform(70, 115) * rng.uniform(0.95, 1.05, 3)
        self._paving = (
            rng.uniform(115, 165) * np.array((1.05, 1.0, 0.93)) * rng.uniform(0.95, 1.05)
        )
        own_side = float(np.sign(self._camera_x_m))
        self._things = _furnish(rng, own_side, self._lane_m, self._road_m, self._pavement_m)

    def pose(self, time_s: float) -> DrivePose:
        """Return where the camera is at a time, driving along its lane."""
        # Where NumPy's numbers are, and where Python's, decides how the rays' 32 bits are rounded,
        # and so what a seed's pixels are.
        return DrivePose(
            x_m=np.float64(self._camera_x_m),
            z_m=self._speed_mps * time_s,
            yaw_rad=0.03 * np.sin(0.4 * time_s + self._seed),
            height_m=self._camera_height_m,
        )

    def plan(self, time_s: float, pose: DrivePose | None = None) -> StreetPlan:
        """Return what stands where at a time, seen from a pose, by default the camera's."""
        return plan_of(
            self._things, pose or self.pose(time_s), time_s, float(self._road_m),
            float(self._lane_m),
        )  # fmt: skip

    def frame(self, time_s: float, pose: DrivePose | None = None) -> DriveFrame:
        """Render the street at a time from the start [s], from a pose, by default its own."""
        pose = pose or self.pose(time_s)
        image, labels, depth = self._background(pose)
        haze: Colour = (float(self._sky[1][0]), float(self._sky[1][1]), float(self._sky[1][2]))
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        canvas = Canvas(pixels, labels, depth, focal_px=self._focal_px, haze=haze)
        self._paint_things(canvas, pose, time_s)
        matrix = np.array(
            (
                (self._focal_px, 0, self._width / 2 - 0.5),
                (0, self._focal_px, self._horizon_px - 0.5),
                (0, 0, 1),
            )
        )
        return DriveFrame(self._expose(canvas.image, time_s), labels, depth, matrix)

    def _rays(self, yaw: float) -> tuple[Array, Array, Array]:
        """Return each column's direction (x, z per metre of depth) and each row's slope."""
        u = (np.arange(self._width, dtype=np.float32) + 0.5 - self._width / 2) / self._focal_px
        across = u * np.cos(yaw) + np.sin(yaw)
        along = np.cos(yaw) - u * np.sin(yaw)
        rows = np.arange(self._height, dtype=np.float32) + 0.5
        slope = (rows - self._horizon_px) / self._focal_px
        return across.astype(np.float32), along.astype(np.float32), slope.astype(np.float32)

    def _background(self, pose: DrivePose) -> tuple[Array, NDArray[np.uint8], NDArray[np.float32]]:
        across, along, slope = self._rays(pose.yaw_rad)
        image = self._paint_sky(slope)
        labels = np.full((self._height, self._width), SKY, np.uint8)
        depth = np.full((self._height, self._width), np.inf, np.float32)
        self._cast_ground(image, labels, depth, (across, along, slope), pose)
        for layer in ('back', 'front'):
            self._cast_walls(image, labels, depth, (across, along, slope), pose, layer)
        clear = np.exp(-np.minimum(depth, 1e4) / _HAZE_DISTANCE_M)[..., None]
        solid = (labels != SKY)[..., None]
        image = np.where(solid, image * clear + self._sky[1] * (1 - clear), image)
        return image, labels, depth

    def _paint_sky(self, slope: Array) -> Array:
        blend = np.clip(-slope * 2.2, 0, 1)[:, None, None]
        sky = self._sky[1] * (1 - blend) + self._sky[0] * blend
        rows = (np.clip(-slope, 0.01, None) ** 0.5 * 700).astype(int) % _NOISE_SIZE
        cols = (np.arange(self._width) * 300 // self._width) % _NOISE_SIZE
        clouds = (self._noise[np.ix_(rows, cols)] - 1)[..., None]
        return (sky + 60 * np.clip(clouds, 0, 1)).astype(np.float32)

    def _cast_ground(
        self,
        image: Array,
        labels: NDArray[np.uint8],
        depth: Array,
        rays: tuple[Array, Array, Array],
        pose: DrivePose,
    ) -> None:
        across, along, slope = rays
        first = int(np.searchsorted(slope, pose.height_m / _FAR_M))
        distance = (pose.height_m / slope[first:])[:, None]
        x = pose.x_m + distance * across
        z = pose.z_m + distance * along
        aside = np.abs(x)
        noise = self._noise[(z * 24).astype(int) % _NOISE_SIZE, (x * 24).astype(int) % _NOISE_SIZE]
        coarse = self._noise[(z * 3).astype(int) % _NOISE_SIZE, (x * 3).astype(int) % _NOISE_SIZE]
        texture = (0.75 + 0.15 * noise + 0.1 * coarse)[..., None]
        is_road = aside < self._road_m
        colour = np.where(is_road[..., None], self._asphalt, self._paving) * texture
        slabs = (np.mod(z, 0.9) < 0.04) | (np.mod(aside, 0.9) < 0.04)
        colour[~is_road & slabs & (distance < 25)] *= 0.8
        kerb = (aside > self._road_m) & (aside < self._road_m + 0.18)
        colour[kerb] = self._paving * 1.15
        dashes = (aside < 0.07) & (np.mod(z, 6.0) < 3.0)
        edge = np.abs(aside - self._road_m + 0.3) < 0.05
        colour[dashes | edge] = 215.0
        if self._is_sunny:
            colour[x * self._sun_side > self._road_m * 0.35] *= 0.62
        image[first:] = colour
        labels[first:] = np.where(is_road, ROAD, PAVEMENT)
        depth[first:] = distance

    def _cast_walls(
        self,
        image: Array,
        labels: NDArray[np.uint8],
        depth: Array,
        rays: tuple[Array, Array, Array],
        pose: DrivePose,
        layer: str,
    ) -> None:
        """Cast one layer of both sides: houses and hedges behind, fences in front."""
        across, along, slope = rays
        set_back = self._pavement_m + (0.0 if layer == 'front' else 1.5)
        side = np.where(across < 0, -1.0, 1.0)
        gap = np.maximum(side * (side * set_back - pose.x_m), 0.1)
        distance = gap / np.maximum(np.abs(across), 1e-4)
        # What lies beyond the far end is closed by the last visible lot, as a street's bend is.
        distance = np.minimum(distance, _FAR_M).astype(np.float32)
        z = pose.z_m + distance * along
        lot = (np.floor(z / _LOT_M).astype(int)) % _LOTS
        left, right = self._lots
        is_left = side < 0
        kind = np.where(is_left, left.kinds[lot], right.kinds[lot])
        height_m = np.where(is_left, left.heights[lot], right.heights[lot])
        colour = np.where(is_left[:, None], left.colours[lot], right.colours[lot])
        if layer == 'front':
            height_m = np.where(kind == _FENCED, 1.3, 0.0)
            colour = np.where(is_left[:, None], left.fences[lot], right.fences[lot])
        top = pose.height_m - height_m
        y = slope[:, None] * distance
        wall = (y >= top) & (y < pose.height_m)
        wall &= distance < depth
        rows, cols = np.nonzero(wall)
        above = pose.height_m - y[rows, cols]
        zs, kinds = z[cols], kind[cols]
        noise = self._noise[
            (above * 20).astype(int) % _NOISE_SIZE, (zs * 20).astype(int) % _NOISE_SIZE
        ]
        shade = 0.8 + 0.2 * noise
        if self._is_sunny:
            shade = shade * np.where(side[cols] == self._sun_side, 0.7, 1.1)
        pixels = colour[cols] * shade[:, None]
        if layer == 'front':
            bars = (np.mod(zs, 0.3) < 0.12) | (above > 1.15) | (above < 0.2)
            pixels[~bars] *= 0.45
            label = np.full(len(rows), FENCE, np.uint8)
        else:
            is_house = kinds == _HOUSE
            window = (np.mod(zs, 2.5) > 0.9) & (np.mod(zs, 2.5) < 2.0)
            window &= (np.mod(above, 3.0) > 1.0) & (np.mod(above, 3.0) < 2.4) & is_house
            pixels[window] = np.array((60.0, 70.0, 82.0)) * (0.7 + 0.5 * noise[window, None])
            leaves = self._noise[
                (above * 45).astype(int) % _NOISE_SIZE, (zs * 45).astype(int) % _NOISE_SIZE
            ]
            pixels[~is_house] *= (0.45 + 0.6 * leaves[~is_house])[:, None]
            label = np.where(is_house, BUILDING, TREE).astype(np.uint8)
        image[rows, cols] = pixels
        labels[rows, cols] = label
        depth[rows, cols] = distance[cols]

    def _paint_things(self, canvas: Canvas, pose: DrivePose, time_s: float) -> None:
        cos, sin = float(np.cos(pose.yaw_rad)), float(np.sin(pose.yaw_rad))

        def place(x_m: float, height_m: float, z_m: float) -> tuple[float, float]:
            u = self._width / 2 + self._focal_px * x_m / z_m
            return u, self._horizon_px + self._focal_px * (pose.height_m - height_m) / z_m

        view = View(canvas, place, self._noise, time_s)
        visible = []
        for thing in self._things:
            ahead = (thing.z_m + thing.speed_mps * time_s - pose.z_m) % STREET_LENGTH_M
            aside = thing.x_m - pose.x_m
            x, z = aside * cos - ahead * sin, aside * sin + ahead * cos
            if NEAREST_M < z < 90 and abs(x) < z * self._width / self._focal_px:
                visible.append((z, x, thing))
        for z, x, thing in sorted(visible, key=lambda item: -item[0]):
            paint(thing, x, z, view)

    def _expose(self, image: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """Apply light, a little blur, and noise of the sensor."""
        rng = np.random.default_rng((self._seed, round(time_s * 1e6)))
        soft = cv2.GaussianBlur(image, (3, 3), 0.6)
        grain = rng.integers(-8, 9, soft.shape, dtype=np.int8)
        lit = cv2.multiply(soft, (*(float(self._light * t) for t in self._tint), 1.0))
        exposed = lit.astype(np.int16) + grain
        return np.clip(exposed, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class _Lots:
    """What stands along one side, per lot."""

    kinds: NDArray[np.int64]
    heights: NDArray[np.float64]
    colours: NDArray[np.float64]
    fences: NDArray[np.float64]

    @staticmethod
    def draw(rng: np.random.Generator) -> '_Lots':
        """Draw a row of lots; neighbours tend to be alike."""
        kinds = np.repeat(rng.choice((_HOUSE, _HOUSE, _HEDGE, _FENCED), _LOTS // 2), 2)
        heights = np.where(
            kinds == _HOUSE, rng.uniform(5, 15, _LOTS), rng.uniform(2.0, 8.0, _LOTS)
        )
        brick = rng.uniform(80, 190, (_LOTS, 1)) * np.array((1.08, 0.95, 0.85))
        brick = brick * rng.uniform(0.88, 1.12, (_LOTS, 3))
        green = rng.uniform(50, 105, (_LOTS, 1)) * np.array((0.8, 1.1, 0.6))
        colours = np.where((kinds == _HOUSE)[:, None], brick, green)
        fences = rng.uniform(50, 170, (_LOTS, 1)) * rng.uniform(0.8, 1.1, (_LOTS, 3))
        return _Lots(kinds, heights, colours, fences)


def _furnish(
    rng: np.random.Generator, own_side: float, lane_m: float, road_m: float, pavement_m: float
) -> list[Thing]:
    """Put things on the road and the pavements."""
    kerb, walk = road_m + 0.5, (road_m + pavement_m) / 2
    things: list[Thing] = []

    def add(kind: str, count: int, x_m: float, jitter_m: float, speed_mps: float = 0.0) -> None:
        for z_m in rng.uniform(0, STREET_LENGTH_M, count):
            side = rng.choice((-1.0, 1.0))
            hue = rng.uniform(30, 225, 3)
            if kind == 'tree':
                hue = rng.uniform(55, 110) * np.array((0.85, 1.15, 0.55))
            accent = rng.uniform(35, 110) * np.array((1.05, 1.0, 0.95))
            things.append(
                Thing(
                    kind=kind,
                    x_m=float(side * x_m + rng.uniform(-jitter_m, jitter_m)),
                    z_m=float(z_m),
                    speed_mps=float(side * own_side * speed_mps * rng.uniform(0.7, 1.3)),
                    scale=float(rng.uniform(0.85, 1.2)),
                    colour=(float(hue[0]), float(hue[1]), float(hue[2])),
                    accent=(float(accent[0]), float(accent[1]), float(accent[2])),
                    phase=float(rng.uniform(0, 2 * np.pi)),
                )
            )

    add('tree', int(rng.integers(8, 40)), kerb + 0.6, 0.3)
    add('pole', int(rng.integers(18, 36)), kerb, 0.1)
    add('sign', int(rng.integers(12, 30)), kerb + 0.2, 0.2)
    add('pedestrian', int(rng.integers(15, 50)), walk, 1.0, 1.2)
    add('pedestrian', int(rng.integers(0, 6)), 0.0, 2.5, 0.0)
    add('cyclist', int(rng.integers(6, 16)), road_m - 0.8, 0.4, 4.0)
    add('car', int(rng.integers(4, 14)), lane_m / 2, 0.2, 9.0)
    if road_m - lane_m > 1:
        add('car', int(rng.integers(15, 50)), road_m - 1.1, 0.15)
    return things


def _smooth_noise(rng: np.random.Generator) -> Array:
    """Return a tile of noise of several scales around 1, (512, 512)."""
    total = np.zeros((_NOISE_SIZE, _NOISE_SIZE), np.float32)
    for cells, weight in ((16, 0.5), (64, 0.35), (256, 0.35), (512, 0.3)):
        grid = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        total += weight * cv2.resize(
            grid, (_NOISE_SIZE, _NOISE_SIZE), interpolation=cv2.INTER_CUBIC
        )
    return (1 + total).astype(np.float32)


def _sky_colours(rng: np.random.Generator, *, is_sunny: bool) -> tuple[Array, Array]:
    """Return the sky's colour overhead and at the horizon."""
    if is_sunny:
        zenith = np.array((110, 160, 225)) * rng.uniform(0.85, 1.1)
        horizon = np.array((215, 225, 238)) * rng.uniform(0.9, 1.05)
    else:
        grey = rng.uniform(165, 235)
        zenith, horizon = np.full(3, grey), np.full(3, min(grey + 12, 250))
    return zenith.astype(np.float32), horizon.astype(np.float32)
