# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that may be chosen: looked at once each, and what is needed of them kept."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.annotation.frame_health import picture_digest
from hyperseg_core.annotation.frame_health import picture_fault
from hyperseg_core.annotation.selection import Choice
from hyperseg_core.annotation.selection import class_doubts
from hyperseg_core.annotation.selection import select_frames
from hyperseg_core.inference.features import FeatureExtractor
from hyperseg_core.inference.segmenter import Segmenter


class Candidates:
    """Gathers frames of one or several streams, then chooses among them."""

    def __init__(self, segmenter: Segmenter) -> None:
        """Prepare to segment frames and to extract their features.

        Raises:
            EngineError: If no engine is there for the features.
        """
        self._segmenter = segmenter
        self._extractor = FeatureExtractor(segmenter.checkpoint)
        self._last: dict[str, bytes] = {}
        self._counts: list[NDArray[np.int64]] = []
        self._doubts: list[NDArray[np.float64]] = []
        self._features: list[NDArray[np.float32]] = []
        self.frames: list[tuple[str, int]] = []
        """Stream and stamp [ns] of every candidate."""
        self.faults: Counter[str] = Counter()
        """Frames left out, by what is wrong with them."""

    def add(self, stream: str, stamp_ns: int, image: NDArray[np.uint8]) -> str:
        """Look at a frame (H, W, 3) uint8, RGB; return why it is no candidate, or ''."""
        digest = picture_digest(image)
        is_frozen = self._last.get(stream) == digest
        self._last[stream] = digest
        fault = 'frozen' if is_frozen else picture_fault(image)
        if fault:
            self.faults[fault] += 1
            return fault
        found = self._segmenter(image)
        num_classes = len(self._segmenter.label_set)
        counts, doubts = class_doubts(found.class_ids, found.confidence, num_classes)
        self._counts.append(counts)
        self._doubts.append(doubts)
        self._features.append(self._extractor(image))
        self.frames.append((stream, stamp_ns))
        return ''

    def choose(self, count: int, *, gap_s: float) -> list[Choice]:
        """Choose frames, the worthiest first; see `select_frames`."""
        if not self.frames:
            return []
        streams, stamps = zip(*self.frames, strict=True)
        return select_frames(
            np.stack(self._counts), np.stack(self._doubts), np.stack(self._features),
            streams, stamps, count, gap_ns=round(gap_s * 1e9),
        )  # fmt: skip

    def close(self) -> None:
        """Release the extractor's engine; the segmenter is the caller's."""
        self._extractor.close()
