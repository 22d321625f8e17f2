# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the scene is painted on: image, labels and depth, always painted together."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Points = Sequence[tuple[float, float]]

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST = range(11)
_SUBPIXEL_BITS = 4
_HAZE_DISTANCE_M = 220.0


class Canvas:
    """A pinhole camera's image of size (height, width) [px], painted from far to near."""

    def __init__(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.uint8],
        depth: NDArray[np.float32],
        *,
        focal_px: float,
        haze: Colour,
    ) -> None:
        """Paint over (H, W, 3) RGB, (H, W) ids and (H, W) metres, in place."""
        self.image, self.labels, self.depth = image, labels, depth
        self.focal_px = focal_px
        self.haze = haze
        self.height, self.width = labels.shape

    def polygon(self, points: Points, colour: Colour, label: int, depth_m: float) -> None:
        """Fill a polygon given in pixels, with haze for its depth."""
        scaled = np.clip(np.asarray(points, np.float64), -1e4, 1e4) * (1 << _SUBPIXEL_BITS)
        corners = scaled.round().astype(np.int32)
        cv2.fillPoly(
            self.image, [corners], self._hazed(colour, depth_m), cv2.LINE_AA, _SUBPIXEL_BITS
        )
        cv2.fillPoly(self.labels, [corners], label, cv2.LINE_8, _SUBPIXEL_BITS)
        cv2.fillPoly(self.depth, [corners], depth_m, cv2.LINE_8, _SUBPIXEL_BITS)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        colour: Colour,
        label: int,
        depth_m: float,
    ) -> None:
        """Fill an axis-parallel ellipse given in pixels."""
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        x = centre[0] + radii[0] * np.cos(angles)
        y = centre[1] + radii[1] * np.sin(angles)
        self.polygon(list(zip(x, y, strict=True)), colour, label, depth_m)

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        width_px: float,
        colour: Colour,
        label: int,
        depth_m: float,
    ) -> None:
        """Draw a straight bar `width_px` wide."""
        along = np.subtract(end, start)
        normal = np.array((-along[1], along[0])) / max(float(np.hypot(*along)), 1e-6)
        half = normal * max(width_px, 0.7) / 2
        corners = [np.add(start, half), np.add(end, half)]
        corners += [np.subtract(end, half), np.subtract(start, half)]
        self.polygon([(float(x), float(y)) for x, y in corners], colour, label, depth_m)

    def shade(self, centre: tuple[float, float], radii: tuple[float, float]) -> None:
        """Darken an ellipse of the ground: a shadow changes the image only."""
        left, right = int(centre[0] - radii[0]), int(centre[0] + radii[0]) + 1
        top, bottom = int(centre[1] - radii[1]), int(centre[1] + radii[1]) + 1
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.width), min(bottom, self.height)
        if left >= right or top >= bottom:
            return
        y, x = np.ogrid[top:bottom, left:right]
        inside = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
        factor = 0.55 + 0.45 * np.clip(inside, 0, 1)
        region = self.image[top:bottom, left:right]
        region[:] = (region * factor[..., None]).astype(np.uint8)

    def speckle(
        self, box: tuple[float, float, float, float], label: int, noise: NDArray[np.float32]
    ) -> None:
        """Multiply the pixels of `label` in a box (left, top, right, bottom) by noise."""
        left, top = max(int(box[0]), 0), max(int(box[1]), 0)
        right, bottom = min(int(box[2]) + 1, self.width), min(int(box[3]) + 1, self.height)
        if left >= right or top >= bottom:
            return
        # The texture is fixed to the object: it is stretched over the box.
        u = (np.arange(left, right) - box[0]) / max(box[2] - box[0], 1.0)
        v = (np.arange(top, bottom) - box[1]) / max(box[3] - box[1], 1.0)
        size = noise.shape[0]
        rows = (np.clip(v, 0, 1) * (size - 1)).astype(int)
        cols = (np.clip(u, 0, 1) * (size - 1)).astype(int)
        factor = np.where(
            self.labels[top:bottom, left:right] == label, noise[np.ix_(rows, cols)], 1.0
        )
        region = self.image[top:bottom, left:right]
        region[:] = np.clip(region * factor[..., None], 0, 255).astype(np.uint8)

    def _hazed(self, colour: Colour, depth_m: float) -> Colour:
        clear = float(np.exp(-depth_m / _HAZE_DISTANCE_M))
        red, green, blue = (
            c * clear + h * (1 - clear) for c, h in zip(colour, self.haze, strict=True)
        )
        return red, green, blue
