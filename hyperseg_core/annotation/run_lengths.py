# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Binary masks as lengths of runs, as COCO and CVAT write them, and polygons as masks.

Runs alternate between outside and inside and begin outside, with 0 where the first pixel is
inside. COCO goes down the columns, CVAT along the lines. COCO's compressed text is that of
`rleToString` in cocoapi's `common/maskApi.c`: 5 bits a character from 48 on, the sixth says that
more follow, and from the fourth run on the difference to the one before the last is written.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError

Mask = NDArray[np.bool_]
_MAX_CHARACTERS = 7
"""Of one number in compressed text: 35 bits, far above any number of pixels."""


def runs_of(is_inside: Mask) -> list[int]:
    """Return the lengths of the runs of a flat mask (P,); those outside come first."""
    if not is_inside.size:
        return []
    ends = np.flatnonzero(np.diff(is_inside)) + 1
    runs: list[int] = np.diff(ends, prepend=0, append=is_inside.size).tolist()
    return [0, *runs] if is_inside[0] else runs


def mask_of(runs: Sequence[int], num_pixels: int) -> Mask:
    """Return the flat mask (P,) that runs describe.

    Raises:
        InputError: If a run is none, or together they are not as long as the mask.
    """
    is_whole = all(type(run) is int and 0 <= run <= num_pixels for run in runs)
    if not is_whole or sum(runs) != num_pixels:
        what = f'{sum(runs)} px' if is_whole else 'something that is no length'
        msg = f'its runs describe {what}, expected lengths that add up to {num_pixels} px'
        raise InputError(msg)
    is_inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(is_inside, np.asarray(runs, np.int64))


def runs_of_text(text: str) -> list[int]:
    """Return the runs that COCO's compressed text holds.

    Raises:
        InputError: If it is no such text.
    """
    runs: list[int] = []
    number = num_characters = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or num_characters == _MAX_CHARACTERS:
            msg = f'its compressed runs hold {character!r}, which no run-length text has there'
            raise InputError(msg)
        number |= (bits & 31) << 5 * num_characters
        num_characters += 1
        if bits & 32:
            continue
        if bits & 16:  # the sign
            number -= 1 << 5 * num_characters
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = num_characters = 0
    if num_characters:
        msg = 'its compressed runs are cut off'
        raise InputError(msg)
    return runs


def polygon_mask(corners: NDArray[np.float64], height: int, width: int) -> Mask:
    """Return which pixels' centres lie in a polygon, (H, W), by the even-odd rule.

    Args:
        corners: (K, 2), x then y [px]; the first pixel reaches from 0 to 1.
        height: Height of the image [px].
        width: Width of the image [px].
    """
    starts, ends = corners, np.roll(corners, -1, axis=0)
    crossings = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(starts.tolist(), ends.tolist(), strict=True):
        low, high = min(y0, y1), max(y0, y1)
        # Lines whose centres lie in [low, high), so that a corner counts for one of its edges.
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (low, high))
        if first < last:
            lines = np.arange(first, last)
            x = x0 + (lines + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
            np.add.at(crossings, (lines, columns), 1)
    is_inside: Mask = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    return is_inside
