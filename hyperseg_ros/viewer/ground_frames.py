# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scan, grid and free space as pages get them: thinned, bounded, encoded once for all.

A scan becomes the points that it hit, (x, y) [m]; a grid a PNG with 0 for free, 1 to 100 for
occupied and 255 for unknown, its first row that of the least y; the free space its corners. All
in the frame of the robot, x ahead and y to the left.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.encoding import encode_values
from hyperseg_ros.viewer.frames import Moment
from hyperseg_ros.viewer.ground_sight import Sight
from hyperseg_ros.viewer.pairing import Stamp
from hyperseg_ros.viewer.protocol import pack_parts

MAX_POINTS = 1000
"""Of a scan, and of an outline."""
MAX_CELLS = 400
"""Along each side of the grid that is sent."""
FAR_M = 10_000.0
"""What is farther away is no ground of a robot."""
_UNKNOWN = 255


@dataclass(frozen=True, slots=True)
class GroundMoment:
    """What a node said of the ground at a stamp, and who knows where that is in the picture."""

    moment: Moment
    """Its layers are of `scan`, `grid`, `free_space`."""
    sight_at: Callable[[Stamp, str], Sight]
    """Takes the stamp and the frame of the points; raises InputError where it is not known."""


class SharedGround:
    """A moment of a ground, encoded for the first client that takes it."""

    def __init__(self, moment: GroundMoment, number: int, workers: Executor) -> None:
        """Take the moment, the number that clients acknowledge, and who encodes."""
        self.moment, self.number = moment, number
        self._workers = workers
        self._encoded: asyncio.Future[bytes] | None = None

    def encoded(self, *, has_confidence: bool) -> 'asyncio.Future[bytes]':
        """Return the message; there is no confidence in it."""
        if self._encoded is None:
            loop = asyncio.get_running_loop()
            self._encoded = loop.run_in_executor(
                self._workers, encode_ground, self.moment, self.number
            )
        return self._encoded


def encode_ground(ground: GroundMoment, number: int) -> bytes:
    """Return a moment of a ground as a message; what cannot be read is told in its place."""
    moment = ground.moment
    header: dict[str, Any] = {
        'type': 'ground', 'number': number, 'ground': moment.stream, 'stamp': list(moment.stamp),
    }  # fmt: skip
    problems: dict[str, str] = {}
    pixels, base_frame = b'', ''
    scan, outline = np.empty((0, 2)), np.empty((0, 3))
    for name, read in moment.layers.items():
        try:
            message = read()
            base_frame = str(message.header.frame_id)
            if name == 'scan':
                scan = scan_points(message)
                header['scan'] = scan.round(3).tolist()
            elif name == 'grid':
                cells, header['grid'] = grid_cells(message)
                pixels = encode_values(cells, MAX_CELLS)
            else:
                outline = outline_points(message)
                header['outline'] = outline[:, :2].round(3).tolist()
        except Exception as error:  # as of pictures, whatever a message provokes is told
            problems[name] = f'{name}: {error}'[:300]
    try:
        sight = ground.sight_at(moment.stamp, base_frame)
        header['picture'] = in_picture(sight, scan, outline)
    except Exception as error:
        problems['picture'] = f'Not drawn into the picture: {error}'[:300]
    return pack_parts({**header, 'problems': problems}, {'grid': pixels})


def in_picture(
    sight: Sight, scan: NDArray[np.float64], outline: NDArray[np.float64]
) -> dict[str, Any]:
    """Return where a scan (N, 2) [m] and an outline (N, 3) [m] are in the picture, as shares."""
    places, is_seen = sight.shares(sight.on_ground(scan))
    scan_places = places[is_seen].round(4).tolist()
    return {'mask': sight.mask, 'scan': scan_places, 'outline': sight.lines(outline)}


def scan_points(scan: Any) -> NDArray[np.float64]:
    """Return what a scan hit, (N, 2) [m]; of neighbours beyond `MAX_POINTS`, the nearest.

    Args:
        scan: sensor_msgs/LaserScan. Ranges outside its limits are no contacts.

    Raises:
        InputError: If its angles are not finite.
    """
    ranges_m = np.asarray(scan.ranges, np.float64)
    angles = (float(scan.angle_min), float(scan.angle_increment))
    if not all(map(math.isfinite, angles)):
        msg = f'The scan has the angles {angles[0]} and steps of {angles[1]}.'
        raise InputError(msg)
    with np.errstate(invalid='ignore'):
        is_hit = (ranges_m >= scan.range_min) & (ranges_m <= min(scan.range_max, FAR_M))
    hits = np.flatnonzero(is_hit)
    if len(ranges_m) > MAX_POINTS and len(hits):
        group = hits // -(-len(ranges_m) // MAX_POINTS)
        order = np.lexsort((ranges_m[hits], group))
        hits = hits[order[np.unique(group[order], return_index=True)[1]]]
    angle = angles[0] + angles[1] * hits
    with np.errstate(all='ignore'):
        points = ranges_m[hits, None] * np.column_stack((np.cos(angle), np.sin(angle)))
    return points[np.isfinite(points).all(axis=1)]


def grid_cells(grid: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return a grid's cells, (H, W) uint8, and where they are.

    Of more than `MAX_CELLS` along a side, blocks are sent: as occupied as their worst cell, and
    free only where all of it is known to be free.

    Args:
        grid: nav_msgs/OccupancyGrid.

    Returns:
        The cells; side of a cell as `resolution` [m], corner of the first cell and turn as
        `origin`: x, y [m], yaw [rad].

    Raises:
        InputError: If it has no cells, others than its size says, or no place.
    """
    info = grid.info
    height, width = int(info.height), int(info.width)
    position, q = info.origin.position, info.origin.orientation
    yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y**2 + q.z**2))
    place = (float(position.x), float(position.y), float(info.resolution))
    values = np.asarray(grid.data, np.int8)
    if not height or not width or values.size != height * width:
        msg = f'A grid of {height} x {width} cells has {values.size} values.'
        raise InputError(msg)
    is_place = all(abs(number) <= FAR_M for number in place)  # NaN is none
    if not is_place or not place[2] > 0 or not math.isfinite(yaw):
        msg = f'A grid has the origin {place[:2]} and cells of {place[2]} m.'
        raise InputError(msg)
    side = -(-max(height, width) // MAX_CELLS)
    whole = np.where(values < 0, _UNKNOWN, values).astype(np.uint8).reshape(height, width)
    if side > 1:
        whole = _blocks(whole, side)
    return whole, {'resolution': place[2] * side, 'origin': [place[0], place[1], yaw]}


def _blocks(cells: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Put blocks of `side` x `side` cells together; the last may be smaller."""
    height, width = cells.shape
    padded = np.pad(cells, ((0, -height % side), (0, -width % side)), mode='edge')
    rows, cols = padded.shape[0] // side, padded.shape[1] // side
    blocks = padded.reshape(rows, side, cols, side)
    is_unknown = blocks == _UNKNOWN
    worst = np.where(is_unknown, 0, blocks).max(axis=(1, 3))
    unknown = (worst == 0) & is_unknown.any(axis=(1, 3))
    return np.where(unknown, np.uint8(_UNKNOWN), worst).astype(np.uint8)


def outline_points(polygon: Any) -> NDArray[np.float64]:
    """Return the corners of a geometry_msgs/PolygonStamped, (N, 3) [m], at most `MAX_POINTS`."""
    points = polygon.polygon.points
    step = -(-len(points) // MAX_POINTS) or 1
    corners = [(point.x, point.y, point.z) for point in points[::step]]
    found = np.array(corners, np.float64).reshape(-1, 3)
    with np.errstate(invalid='ignore'):
        return found[(np.abs(found) <= FAR_M).all(axis=1)]
