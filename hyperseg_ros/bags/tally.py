# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was seen in a bag: pixels of each class, images of each topic, and missing ones."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LATE = 1.5
"""From so many periods on, a pause between two stamps is one or more images too few."""


class Tally:
    """Counts over the masks of a bag; plain data in and out, so that chunks can be added up."""

    def __init__(self, chunks: list[dict[str, Any]] | None = None) -> None:
        """Start with nothing, or with what `to_chunk` gave for each chunk."""
        self._pixels: Counter[int] = Counter()
        self._stamps: dict[str, list[int]] = {}
        for chunk in chunks or []:
            self._pixels.update({int(k): v for k, v in chunk.get('class_pixels', {}).items()})
            for topic, stamps in chunk.get('stamps', {}).items():
                self._stamps.setdefault(topic, []).extend(stamps)

    def add(self, topic: str, stamp_ns: int, class_ids: NDArray[np.uint8]) -> None:
        """Count a mask (H, W)."""
        counts = np.bincount(class_ids.reshape(-1), minlength=256)
        self._pixels.update({int(i): int(counts[i]) for i in np.flatnonzero(counts)})
        self._stamps.setdefault(topic, []).append(stamp_ns)

    def to_chunk(self) -> dict[str, Any]:
        """Return all that is known, to be added to others'."""
        return {'class_pixels': self._class_pixels(), 'stamps': self._stamps}

    def summary(self) -> dict[str, Any]:
        """Return pixels by class id, and for each topic its images and those that are missing."""
        images = {
            topic: {'labelled': len(stamps), 'dropped': num_dropped(stamps)}
            for topic, stamps in sorted(self._stamps.items())
        }
        return {'class_pixels': self._class_pixels(), 'images': images}

    def _class_pixels(self) -> dict[str, int]:
        return {str(class_id): self._pixels[class_id] for class_id in sorted(self._pixels)}


def num_dropped(stamps_ns: list[int]) -> int:
    """Estimate how many images a camera or recorder dropped between the first and the last.

    The median pause between stamps is taken as the period; of a longer one, as many are missing
    as periods fit into it, less one. Stamps that repeat or run backwards count for nothing.
    """
    pauses = np.diff(np.unique(np.asarray(stamps_ns, np.int64)))
    if len(pauses) < 2:
        return 0
    periods = np.asarray(pauses / float(np.median(pauses)), np.float64)
    return int((np.rint(periods[periods > _LATE]) - 1).sum())
