# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Obstacles and free space on the ground, from one mask: scan, grid and polygon.

Along each ray from the camera's foot the first pixel that is not drivable is the contact; what
lies behind it is unknown, as the thing's upper part is seen there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_ros.planner.ground_table import GroundTable

States = NDArray[np.uint8]

UNKNOWN, FREE, OCCUPIED, ILLEGAL = range(4)
_BAND = 2
"""Samples of a contact: cells and rays that cross it askew meet at least one of them."""
_SAME_LINE = 0.15
"""Neighbouring contacts whose distances differ by less than this share are of one line."""
_AS_OCCUPANCY = np.array((-1, 0, 100, -1), np.int8)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundView:
    """What one mask says of the ground."""

    ranges_m: NDArray[np.float32]
    """(R,): distance of the first contact; +inf: free; NaN: unknown (REP 117)."""
    occupancy: NDArray[np.int8]
    """(Y, X): 0 free, 100 contact, -1 unknown."""
    free_space_m: NDArray[np.float32]
    """(N, 2): corners of the free area around the camera's view, x and y in the base frame."""


def state_table(label_set: LabelSet, drivable: tuple[str, ...]) -> States:
    """Return what each id of a mask means for the ground, (256,).

    Raises:
        ConfigError: If a name is neither a class nor a group.
    """
    table = np.full(256, ILLEGAL, np.uint8)
    table[: len(label_set)] = OCCUPIED
    table[list(label_set.ids(drivable))] = FREE
    table[IGNORE_ID] = UNKNOWN
    return table


def read_ground(
    table: GroundTable,
    mask: NDArray[np.uint8],
    states: States,
    *,
    confidence: NDArray[np.uint8] | None = None,
    min_confidence: float = 0.0,
    close_m: float = 0.3,
    gap_m: float = 0.5,
) -> GroundView:
    """Turn a mask into scan, grid and polygon.

    Args:
        table: Of the camera that the mask is of.
        mask: Class ids (H, W).
        states: What they mean, from `state_table`.
        confidence: Probabilities as 0 to 255 (H, W), or None.
        min_confidence: Pixels with a lower probability, 0 to 1, are unknown.
        close_m: Holes in the drivable ground shorter than this along a ray are closed.
        gap_m: Unknown ground that a ray may cross before its contact or its end.

    Raises:
        InputError: If the mask holds ids that the label set has not, or sizes differ.
    """
    pixels = _mask_states(mask, states, confidence, min_confidence)
    fan = _fan_states(table, pixels, close_m)
    ends = _free_ends(table, fan)
    flat = np.append(_with_contacts(fan).ravel(), np.uint8(UNKNOWN))
    return GroundView(
        ranges_m=_ranges(table, flat, gap_m),
        occupancy=_occupancy(table, flat),
        free_space_m=_free_space(table, ends),
    )


def _mask_states(
    mask: NDArray[np.uint8],
    states: States,
    confidence: NDArray[np.uint8] | None,
    min_confidence: float,
) -> States:
    """Return the state of each pixel, and of no pixel at the end, (H * W + 1,)."""
    flat = np.empty(mask.size + 1, np.uint8)
    flat[-1] = UNKNOWN
    image = flat[:-1].reshape(mask.shape)
    cv2.LUT(mask, states, dst=image)
    if image.max() == ILLEGAL:
        strange = mask[image == ILLEGAL]
        msg = f'The mask holds the id {int(strange[0])}, which its label set has not.'
        raise InputError(msg)
    if confidence is not None and min_confidence > 0:
        if confidence.shape != mask.shape:
            msg = f'The confidence is of {confidence.shape} px, the mask of {mask.shape}.'
            raise InputError(msg)
        least = np.ceil(255 * min_confidence)
        _, is_sure = cv2.threshold(confidence, least - 1, 255, cv2.THRESH_BINARY)
        cv2.bitwise_and(image, is_sure, dst=image)  # UNKNOWN is 0
    return flat


def _fan_states(table: GroundTable, pixels: States, close_m: float) -> States:
    """Return the state of each sample of the fan, (A, S), with small holes closed.

    A hole is closed along rays only: it must be short there and have drivable ground behind it. A
    post is narrow, too, but its picture reaches far along the ray.
    """
    fan = np.take(pixels, table.pixels, mode='clip')
    length = round(close_m / table.layout.resolution_m)
    if length > 0:
        blocked = (fan != FREE).view(np.uint8)
        kernel = np.ones((1, length + 1), np.uint8)
        lasting = cv2.morphologyEx(blocked, cv2.MORPH_OPEN, kernel)
        fan[(blocked > lasting) & table.is_seen] = FREE
    return fan


def _with_contacts(fan: States) -> States:
    """Return the fan with its first contact on each ray, and nothing known behind that."""
    num_samples = fan.shape[1]
    occupied = fan == OCCUPIED
    contact = np.where(occupied.any(1), occupied.argmax(1), num_samples)
    length = _contact_lengths(contact, num_samples)
    offset = np.arange(num_samples, dtype=np.int16) - contact[:, None].astype(np.int16)
    seen = np.where(offset < length[:, None], np.uint8(OCCUPIED), np.uint8(UNKNOWN))
    return np.where(offset < 0, fan, seen)


def _contact_lengths(contact: NDArray[np.intp], num_samples: int) -> NDArray[np.int16]:
    """Return how many samples each ray's contact is long, (A,).

    Where a kerb runs almost along the rays, a contact reaches as far as its neighbours', so that
    the line has no gaps; the edge of a thing before free ground is no such line.
    """
    length = np.full(len(contact), _BAND, np.int16)
    known = np.where(contact < num_samples, contact, -num_samples)
    for step in (-1, 1):
        further = np.roll(known, step) - contact
        further[-1 if step < 0 else 0] = 0
        is_line = further <= _SAME_LINE * contact
        length = np.maximum(length, np.where(is_line, further + 1, 0)).astype(np.int16)
    return length


def _free_ends(table: GroundTable, fan: States) -> NDArray[np.int64]:
    """Return the sample where the free ground of each ray ends, (A,)."""
    num_samples = fan.shape[1]
    ahead = np.arange(num_samples) >= table.first_seen[:, None]
    stops = (fan != FREE) & ahead
    return np.where(stops.any(1), stops.argmax(1), num_samples)


def _ranges(table: GroundTable, flat: States, gap_m: float) -> NDArray[np.float32]:
    samples = np.take(flat, table.scan_samples, mode='clip')
    num_samples = samples.shape[1]
    step = table.layout.resolution_m
    occupied = samples == OCCUPIED
    is_hit = occupied.any(1)
    end = np.where(is_hit, occupied.argmax(1), num_samples)
    index = np.arange(num_samples)
    is_passed = (index >= table.scan_first[:, None]) & (index < end[:, None])
    num_unknown = np.count_nonzero((samples == UNKNOWN) & is_passed, axis=1)
    reached = table.scan_ranges_m[np.minimum(end, num_samples - 1)] - np.float32(step / 2)
    ranges = np.where(is_hit, reached, np.float32(np.inf))
    is_known = (num_unknown * step <= gap_m) & (table.scan_first < num_samples)
    return np.where(is_known, ranges, np.float32(np.nan))


def _occupancy(table: GroundTable, flat: States) -> NDArray[np.int8]:
    """Return the grid: of the free cells those that hang together with the robot's ground."""
    cells = np.take(flat, table.grid_samples, mode='clip')
    is_free = cells == FREE
    _, parts = cv2.connectedComponents((is_free | table.is_bridge).view(np.uint8), connectivity=4)
    x_min, y_min, _, _ = table.layout.window_m
    row, col = int(-y_min / table.layout.resolution_m), int(-x_min / table.layout.resolution_m)
    cells[is_free & (parts != parts[row, col])] = UNKNOWN
    return _AS_OCCUPANCY[cells]


def _free_space(table: GroundTable, ends: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the outline of the free ground: out along the far ends, back along the near ones."""
    step = table.layout.resolution_m
    near = np.minimum(table.first_seen, ends)
    cos, sin = np.cos(table.azimuths_rad), np.sin(table.azimuths_rad)
    has_view = table.first_seen < table.pixels.shape[1]
    sides = [
        np.stack((table.foot[0] + radii * cos, table.foot[1] + radii * sin), axis=1)[has_view]
        for radii in (step * ends, step * near)
    ]
    outline = np.concatenate((sides[0], sides[1][::-1])).astype(np.float32)
    return cv2.approxPolyDP(outline[:, None], step, True)[:, 0]
