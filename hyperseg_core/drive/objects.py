# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The things that stand and move in a rendered street, each painted at its distance.

Positions are metres: x to the right, z forward, heights above the ground. A `place` function
turns (x, height, z) relative to the camera into pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.canvas import BICYCLIST
from hyperseg_core.drive.canvas import CAR
from hyperseg_core.drive.canvas import PEDESTRIAN
from hyperseg_core.drive.canvas import POLE
from hyperseg_core.drive.canvas import SIGN
from hyperseg_core.drive.canvas import TREE
from hyperseg_core.drive.canvas import Canvas
from hyperseg_core.drive.canvas import Colour

Place = Callable[[float, float, float], tuple[float, float]]

_NEAR_M = 1.5
_SKIN: Colour = (205.0, 160.0, 130.0)
_TYRE: Colour = (25.0, 25.0, 28.0)
_GLASS: Colour = (45.0, 55.0, 65.0)


@dataclass(frozen=True, slots=True)
class View:
    """What things are painted with: the camera's view at a time."""

    canvas: Canvas
    place: Place
    noise: NDArray[np.float32]
    """Texture of leaves, (S, S), around 1."""
    time_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    """One object of the scene."""

    kind: str
    """`car`, `tree`, `pole`, `sign`, `pedestrian` or `cyclist`."""
    x_m: float
    z_m: float
    speed_mps: float
    """Speed along z."""
    scale: float
    """Size as a multiple of the usual."""
    colour: Colour
    accent: Colour
    phase: float
    """Where in its step it is at time 0 [rad]; also a variant number."""


def paint(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    """Paint a thing at (x, z) metres from the camera."""
    painters = {
        'car': _car,
        'tree': _tree,
        'pole': _pole,
        'sign': _sign,
        'pedestrian': _pedestrian,
        'cyclist': _cyclist,
    }
    painters[thing.kind](thing, x_m, z_m, view)


def _dim(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _shadow(canvas: Canvas, place: Place, x_m: float, z_m: float, radius_m: float) -> None:
    centre = place(x_m, 0.0, z_m)
    near, far = place(x_m, 0.0, max(z_m - radius_m, _NEAR_M)), place(x_m, 0.0, z_m + radius_m)
    across = radius_m * canvas.focal_px / z_m
    canvas.shade(centre, (max(across, 1.0), max((near[1] - far[1]) / 2, 1.0)))


def _car(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    """Paint a box with a cabin: its side, as far as it is seen, then the end that faces us."""
    width, length = 1.75 * thing.scale, 4.2 * thing.scale
    waist, roof = 0.85 * thing.scale, 1.45 * thing.scale * (1.25 if thing.phase > 4.5 else 1.0)
    near, far = max(z_m - length / 2, _NEAR_M), z_m + length / 2
    left, right = x_m - width / 2, x_m + width / 2
    _shadow(view.canvas, view.place, x_m, z_m, 1.5 * thing.scale)
    side = left if left > 0 else right if right < 0 else None
    if side is not None:
        inset = 0.25 * width * (1 if side == left else -1)
        body = [
            view.place(side, h, z)
            for h, z in ((0.25, near), (waist, near), (waist, far), (0.25, far))
        ]
        view.canvas.polygon(body, _dim(thing.colour, 0.75), CAR, z_m)
        cabin_near, cabin_far = near + 0.16 * length, far - 0.2 * length
        cabin = [
            view.place(side, waist, near + 0.05 * length),
            view.place(side + inset, roof, cabin_near),
            view.place(side + inset, roof, cabin_far),
            view.place(side, waist, far - 0.05 * length),
        ]
        view.canvas.polygon(cabin, _GLASS, CAR, z_m)
        for wheel in (near + 0.18 * length, far - 0.18 * length):
            centre = view.place(side, 0.3 * thing.scale, wheel)
            radius = 0.31 * thing.scale * view.canvas.focal_px / wheel
            slant = min(abs(side) / wheel + 0.15, 1.0)
            view.canvas.ellipse(centre, (max(radius * slant, 0.5), radius), _TYRE, CAR, wheel)
    top = [
        view.place(left + 0.2, roof, near + 0.16 * length),
        view.place(right - 0.2, roof, near + 0.16 * length),
        view.place(right, waist, near),
        view.place(left, waist, near),
    ]
    view.canvas.polygon(top, _dim(thing.colour, 0.9), CAR, near)
    glass = [
        view.place(left + 0.3, roof - 0.08, near + 0.14 * length),
        view.place(right - 0.3, roof - 0.08, near + 0.14 * length),
        view.place(right - 0.12, waist + 0.05, near),
        view.place(left + 0.12, waist + 0.05, near),
    ]
    view.canvas.polygon(glass, _GLASS, CAR, near)
    for x in (left + 0.2, right - 0.2):
        wheel_box = [
            view.place(x + d, h, near)
            for d, h in ((-0.15, 0), (0.15, 0), (0.15, 0.4), (-0.15, 0.4))
        ]
        view.canvas.polygon(wheel_box, _TYRE, CAR, near)
    face = [
        view.place(left, 0.22, near),
        view.place(right, 0.22, near),
        view.place(right, waist, near),
        view.place(left, waist, near),
    ]
    view.canvas.polygon(face, thing.colour, CAR, near)
    is_oncoming = thing.speed_mps < 0
    lamp: Colour = (240.0, 235.0, 200.0) if is_oncoming else (190.0, 25.0, 20.0)
    for x in (left + 0.22, right - 0.22):
        view.canvas.ellipse(
            view.place(x, 0.65 * thing.scale, near),
            (0.14 * view.canvas.focal_px / near, 0.09 * view.canvas.focal_px / near),
            lamp,
            CAR,
            near,
        )
    plate = [
        view.place(x_m + d, h, near)
        for d, h in ((-0.26, 0.4), (0.26, 0.4), (0.26, 0.52), (-0.26, 0.52))
    ]
    view.canvas.polygon(plate, (225.0, 220.0, 170.0), CAR, near)


def _tree(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    """Paint a trunk and a crown of overlapping leaves."""
    height, spread = 6.5 * thing.scale, 2.1 * thing.scale
    px_per_m = view.canvas.focal_px / z_m
    _shadow(view.canvas, view.place, x_m, z_m, spread * 0.7)
    foot, fork = view.place(x_m, 0.0, z_m), view.place(x_m, height * 0.55, z_m)
    view.canvas.line(foot, fork, 0.28 * thing.scale * px_per_m, thing.accent, TREE, z_m)
    rng = np.random.default_rng(int(thing.phase * 1e6))
    for dx, dh, radius in zip(
        rng.uniform(-0.6, 0.6, 9),
        rng.uniform(0.5, 0.95, 9),
        rng.uniform(0.35, 0.6, 9),
        strict=True,
    ):
        centre = view.place(x_m + dx * spread, dh * height, z_m)
        shade = 0.75 + 0.45 * (dh - 0.5)
        size = radius * spread * px_per_m
        view.canvas.ellipse(centre, (size, size * 0.85), _dim(thing.colour, shade), TREE, z_m)
    top, bottom = (
        view.place(x_m - spread * 1.2, height * 1.2, z_m),
        view.place(x_m + spread * 1.2, height * 0.3, z_m),
    )
    view.canvas.speckle((*top, *bottom), TREE, view.noise)


def _pole(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    """Paint a lamp post with its arm over the road."""
    px_per_m = view.canvas.focal_px / z_m
    top = 7.0 * thing.scale
    arm = -np.sign(thing.x_m) * 1.4
    view.canvas.line(
        view.place(x_m, 0, z_m),
        view.place(x_m, top, z_m),
        0.16 * px_per_m,
        thing.accent,
        POLE,
        z_m,
    )
    if thing.phase > 2:
        view.canvas.line(
            view.place(x_m, top, z_m),
            view.place(x_m + arm, top + 0.2, z_m),
            0.1 * px_per_m,
            thing.accent,
            POLE,
            z_m,
        )
        view.canvas.ellipse(
            view.place(x_m + arm, top + 0.15, z_m),
            (0.35 * px_per_m, 0.1 * px_per_m),
            (200.0, 200.0, 190.0),
            POLE,
            z_m,
        )


def _sign(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    """Paint a post with a disc, a triangle, a board or a traffic light."""
    px_per_m = view.canvas.focal_px / z_m
    height = 2.4 * thing.scale
    view.canvas.line(
        view.place(x_m, 0, z_m),
        view.place(x_m, height, z_m),
        0.09 * px_per_m,
        (120.0, 120.0, 120.0),
        POLE,
        z_m,
    )
    x, y = view.place(x_m, height, z_m)
    radius = 0.38 * thing.scale * px_per_m
    if thing.phase < 1.6:
        view.canvas.ellipse((x, y), (radius, radius), (200.0, 30.0, 35.0), SIGN, z_m)
        view.canvas.ellipse((x, y), (radius * 0.7, radius * 0.7), (235.0, 235.0, 235.0), SIGN, z_m)
    elif thing.phase < 3.2:
        view.canvas.polygon(
            [
                (x - radius, y - radius),
                (x + radius, y - radius),
                (x + radius, y + radius),
                (x - radius, y + radius),
            ],
            thing.accent,
            SIGN,
            z_m,
        )
        view.canvas.polygon(
            [
                (x - radius * 0.5, y - radius * 0.3),
                (x + radius * 0.5, y),
                (x - radius * 0.5, y + radius * 0.3),
            ],
            (240.0, 240.0, 240.0),
            SIGN,
            z_m,
        )
    elif thing.phase < 4.7:
        view.canvas.polygon(
            [(x, y - radius), (x + radius, y + radius), (x - radius, y + radius)],
            (200.0, 35.0, 35.0),
            SIGN,
            z_m,
        )
        view.canvas.polygon(
            [
                (x, y - radius * 0.5),
                (x + radius * 0.6, y + radius * 0.75),
                (x - radius * 0.6, y + radius * 0.75),
            ],
            (240.0, 235.0, 225.0),
            SIGN,
            z_m,
        )
    else:
        box = [
            (x - radius * 0.5, y - radius * 1.3),
            (x + radius * 0.5, y - radius * 1.3),
            (x + radius * 0.5, y + radius * 1.3),
            (x - radius * 0.5, y + radius * 1.3),
        ]
        view.canvas.polygon(box, (30.0, 32.0, 30.0), SIGN, z_m)
        lit = int(view.time_s / 4 + thing.phase) % 3
        for index, lamp in enumerate(
            ((230.0, 40.0, 30.0), (240.0, 180.0, 40.0), (40.0, 210.0, 90.0))
        ):
            colour = lamp if index == lit else _dim(lamp, 0.25)
            view.canvas.ellipse(
                (x, y + (index - 1) * 0.8 * radius),
                (radius * 0.3, radius * 0.3),
                colour,
                SIGN,
                z_m,
            )


def _person(
    thing: Thing,
    foot: tuple[float, float],
    height_px: float,
    stride: float,
    label: int,
    canvas: Canvas,
    z_m: float,
) -> None:
    """Paint legs, trunk, arms and head of someone standing on `foot`."""
    x, y = foot
    hip, neck = y - 0.47 * height_px, y - 0.84 * height_px
    for side in (-1, 1):
        canvas.line(
            (x, hip), (x + side * stride * height_px, y), 0.1 * height_px, thing.accent, label, z_m
        )
        hand = (x - side * stride * height_px, hip + 0.02 * height_px)
        canvas.line(
            (x + side * 0.08 * height_px, neck + 0.04 * height_px),
            hand,
            0.055 * height_px,
            _dim(thing.colour, 0.8),
            label,
            z_m,
        )
    shoulder, waist = 0.13 * height_px, 0.1 * height_px
    trunk = [
        (x - shoulder, neck),
        (x + shoulder, neck),
        (x + waist, hip + 0.04 * height_px),
        (x - waist, hip + 0.04 * height_px),
    ]
    canvas.polygon(trunk, thing.colour, label, z_m)
    canvas.ellipse(
        (x, y - 0.92 * height_px), (0.065 * height_px, 0.08 * height_px), _SKIN, label, z_m
    )
    canvas.ellipse(
        (x, y - 0.95 * height_px),
        (0.067 * height_px, 0.055 * height_px),
        _dim(thing.accent, 0.6),
        label,
        z_m,
    )


def _pedestrian(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    _shadow(view.canvas, view.place, x_m, z_m, 0.35)
    stride = 0.11 * float(np.sin(5.0 * view.time_s + thing.phase))
    height_px = 1.72 * thing.scale * view.canvas.focal_px / z_m
    _person(thing, view.place(x_m, 0.0, z_m), height_px, stride, PEDESTRIAN, view.canvas, z_m)


def _cyclist(thing: Thing, x_m: float, z_m: float, view: View) -> None:
    """Paint a bicycle seen mostly from its end, and its rider."""
    px_per_m = view.canvas.focal_px / z_m
    _shadow(view.canvas, view.place, x_m, z_m, 0.5)
    slant = 0.08 + 0.9 * min(abs(x_m) / z_m, 0.6)
    for offset in (-0.5, 0.5):
        centre = view.place(x_m + offset * slant, 0.34, z_m + offset)
        view.canvas.ellipse(
            centre, (0.34 * px_per_m * max(slant, 0.15), 0.34 * px_per_m), _TYRE, BICYCLIST, z_m
        )
    view.canvas.line(
        view.place(x_m - 0.3, 1.0, z_m),
        view.place(x_m + 0.3, 1.0, z_m),
        0.06 * px_per_m,
        (60.0, 60.0, 65.0),
        BICYCLIST,
        z_m,
    )
    stride = 0.05 + 0.05 * float(np.sin(4.0 * view.time_s + thing.phase))
    _person(
        thing,
        view.place(x_m, 0.3, z_m),
        1.5 * thing.scale * px_per_m,
        stride,
        BICYCLIST,
        view.canvas,
        z_m,
    )
