# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points get the class of the pixel that shows them, where it is sure that it does show them.

A point behind the lens projects into the picture too; one behind a thing does so onto that thing;
and a mask's edges are a pixel or two off. All these become 255 rather than another's class.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_ros.messages.point_cloud import Points
from hyperseg_ros.planner.lens import Lens
from hyperseg_ros.planner.pose import Matrix

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class PaintRules:
    """When a point is taken to be what its pixel shows."""

    edge_px: int = 2
    """Pixels at most so far from another class are 255."""
    cell_px: int = 10
    """Side of the cells of the image in which the nearest point hides others; 0: none does."""
    tolerance_m: float = 0.5
    """A point so much farther than the nearest of its cell still is of the same thing."""
    tolerance_share: float = 0.1
    """The same as a share of the nearest point's depth; the larger of both counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Paint:
    """Classes of points."""

    class_ids: Bytes
    """(N,), 255 where nothing is known."""
    confidence: Bytes
    """(N,), 0 to 255; 0 where nothing is known."""


def without_edges(mask: Bytes, edge_px: int) -> Bytes:
    """Return the mask (H, W) with 255 at pixels that have another class within `edge_px`."""
    if edge_px <= 0:
        return mask
    window = np.ones((2 * edge_px + 1, 2 * edge_px + 1), np.uint8)
    is_edge = cv2.compare(cv2.dilate(mask, window), cv2.erode(mask, window), cv2.CMP_NE)
    return cv2.bitwise_or(mask, is_edge)


def check_ids(mask: Bytes, num_classes: int) -> None:
    """Check that a mask holds ids of its label set only.

    Raises:
        InputError: If not.
    """
    is_strange = np.ones(256, np.uint8)
    is_strange[:num_classes] = is_strange[IGNORE_ID] = 0
    strange = cv2.LUT(mask, is_strange)
    if strange.any():
        msg = f'The mask holds the id {int(mask[strange > 0][0])}, which its label set has not.'
        raise InputError(msg)


def paint(
    points: Points,
    camera_from_points: Matrix,
    lens: Lens,
    mask: Bytes,
    confidence: Bytes | None,
    rules: PaintRules,
) -> Paint:
    """Give points the classes of the pixels that show them.

    Args:
        points: (N, 3) [m], in any frame; not finite ones become 255.
        camera_from_points: From that frame to the camera's optical frame, at the times of both.
        lens: The camera's, for images of the mask's size.
        mask: Class ids (H, W).
        confidence: Probabilities as 0 to 255 (H, W); None: all 255.
        rules: When a pixel is taken to show a point.
    """
    if confidence is not None and confidence.shape != mask.shape:
        msg = f'The confidence is of {confidence.shape} px, the mask of {mask.shape}.'
        raise InputError(msg)
    ids = np.full(len(points), IGNORE_ID, np.uint8)
    sure = np.zeros(len(points), np.uint8)
    seen, rows, columns, depths = _seen_points(points, camera_from_points, lens)
    if rules.cell_px > 0 and len(seen):
        is_front = _is_in_front(rows, columns, depths, lens, rules)
        seen, rows, columns = seen[is_front], rows[is_front], columns[is_front]
    pixels = rows * lens.width + columns
    found = without_edges(mask, rules.edge_px).reshape(-1).take(pixels)
    ids[seen] = found
    values = np.uint8(255) if confidence is None else confidence.reshape(-1).take(pixels)
    sure[seen] = np.where(found == IGNORE_ID, np.uint8(0), values)
    return Paint(class_ids=ids, confidence=sure)


def _seen_points(
    points: Points, camera_from_points: Matrix, lens: Lens
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return which points fall into the picture, and their rows, columns and depths [m]."""
    rotation = camera_from_points[:3, :3].astype(np.float32)
    shift = camera_from_points[:3, 3].astype(np.float32)
    is_fisheye = lens.model == 'equidistant'
    if is_fisheye:  # it may look behind itself
        ahead = np.arange(len(points))
    else:
        with np.errstate(invalid='ignore', over='ignore'):
            ahead = np.flatnonzero(points @ rotation[2] + shift[2] > 0)
    with np.errstate(invalid='ignore', over='ignore'):
        inside = points.take(ahead, axis=0) @ rotation.T + shift
    places, is_seen = lens.project(inside)
    kept = np.flatnonzero(is_seen)
    columns, rows = np.rint(places.take(kept, axis=0)).astype(np.int32).T
    near = inside.take(kept, axis=0)
    depths = np.linalg.norm(near, axis=1) if is_fisheye else near[:, 2]
    return ahead[kept], rows, columns, depths


def _is_in_front(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    depths: NDArray[np.float32],
    lens: Lens,
    rules: PaintRules,
) -> NDArray[np.bool_]:
    """Tell which points are about as near as the nearest one in their cell of the image."""
    across = lens.width // rules.cell_px + 1
    cells = rows // rules.cell_px * across + columns // rules.cell_px
    nearest = np.full((lens.height // rules.cell_px + 1) * across, np.inf, np.float32)
    np.minimum.at(nearest, cells, depths)
    near = nearest.take(cells)
    allowed = np.maximum(rules.tolerance_m, rules.tolerance_share * near)
    return depths <= near + allowed


def rasterised(points: Points, camera_from_points: Matrix, lens: Lens) -> Points:
    """Return for each pixel the nearest point that it shows, NaN where there is none.

    Returns:
        (H * W, 3), row by row, in the frame of the points.
    """
    seen, rows, columns, depths = _seen_points(points, camera_from_points, lens)
    picture = np.full((lens.height * lens.width, 3), np.nan, np.float32)
    far_to_near = np.argsort(-depths, kind='stable')
    pixels = rows * lens.width + columns
    picture[pixels[far_to_near]] = points[seen[far_to_near]]  # the last one written stays
    return picture


def surest(paints: list[Paint]) -> Paint:
    """Return of several cameras' paints of the same points the surest class of each."""
    best = paints[0]
    for other in paints[1:]:
        is_surer = other.confidence > best.confidence
        best = Paint(
            class_ids=np.where(is_surer, other.class_ids, best.class_ids),
            confidence=np.where(is_surer, other.confidence, best.confidence),
        )
    return best
