# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One set of points and the masks that belong to it, painted: what `~/points` shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperseg_ros.messages.point_cloud import Points
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.painting import Paint
from hyperseg_ros.planner.painting import PaintRules
from hyperseg_ros.planner.painting import paint
from hyperseg_ros.planner.painting import rasterised
from hyperseg_ros.planner.painting import surest
from hyperseg_ros.planner.painting import without_edges
from hyperseg_ros.planner.pose import Matrix

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraPicture:
    """A camera's mask, and where it was taken."""

    mask: Bytes
    """(H, W)."""
    confidence: Bytes | None
    """(H, W)."""
    lens: Lens
    camera_from_points: Matrix | None
    """None: the points are those of the mask's pixels, row by row."""


def paint_from(points: Points, pictures: Sequence[CameraPicture], rules: PaintRules) -> Paint:
    """Paint points (N, 3) with all cameras; the surest class wins.

    Args:
        points: [m], in one frame.
        pictures: At least one.
        rules: When a pixel is taken to show a point.
    """
    return surest([_paint_with(points, picture, rules) for picture in pictures])


def _paint_with(points: Points, picture: CameraPicture, rules: PaintRules) -> Paint:
    if picture.camera_from_points is None:
        return _pixels(picture, rules)
    return paint(
        points, picture.camera_from_points, picture.lens, picture.mask, picture.confidence, rules
    )


def _pixels(picture: CameraPicture, rules: PaintRules) -> Paint:
    ids = without_edges(picture.mask, rules.edge_px).reshape(-1)
    sure = np.full(ids.size, 255, np.uint8)
    if picture.confidence is not None:
        sure = picture.confidence.reshape(-1)
    return Paint(class_ids=ids, confidence=np.where(ids == 255, np.uint8(0), sure))


def organised(points: Points, picture: CameraPicture, rules: PaintRules) -> tuple[Points, Paint]:
    """Return a point for each pixel of a mask (H * W, 3), NaN where none is, and the pixels'."""
    if picture.camera_from_points is not None:
        points = rasterised(points, picture.camera_from_points, picture.lens)
    return points, _pixels(picture, rules)
