# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are worth labelling: unsure of rare classes, and unlike each other.

A frame's score is the mean over its pixels of (1 - confidence), each weighted by how rare its
predicted class is. Frames are then taken one after another: the next is that with the largest
product of its score and its distance to what was taken (weighted k-center, greedily).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.labels import IGNORE_ID

Floats = NDArray[np.float64]
_MIN_SHARE = 1e-4
"""A class that is rarer counts as if it had this share: a few stray pixels decide nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A frame that is worth labelling, and why."""

    index: int
    """Place among the candidates."""
    score: float
    """How unsure the network is of rare classes; 1 for the mean of all candidates."""
    distance: float
    """How unlike the frames taken before, 0 to 2 (cosine); 2 for the first."""
    classes: tuple[int, ...]
    """Ids of the classes that most of the score comes from, the first three."""


def class_doubts(
    class_ids: NDArray[np.uint8], confidence: NDArray[np.uint8], num_classes: int
) -> tuple[NDArray[np.int64], Floats]:
    """Count a frame's pixels by predicted class, and sum how unsure they are.

    Args:
        class_ids: (H, W); 255 counts for no class.
        confidence: (H, W), 0 to 255 for a probability of 0 to 1.
        num_classes: Number of classes, N.

    Returns:
        Pixels (N,) and doubts (N,), a doubt being 1 - probability.
    """
    ids = class_ids[class_ids != IGNORE_ID].astype(np.int64)
    doubts = 1 - confidence[class_ids != IGNORE_ID] / 255.0
    counts = np.bincount(ids, minlength=num_classes)[:num_classes]
    sums = np.bincount(ids, weights=doubts, minlength=num_classes)[:num_classes]
    return counts.astype(np.int64), sums.astype(np.float64)


def class_weights(counts: NDArray[np.int64]) -> Floats:
    """Return the weight of each class (N,): one over the root of its share of all pixels.

    Args:
        counts: Pixels by frame and class, (F, N).
    """
    shares = counts.sum(0) / max(1, counts.sum())
    weights: Floats = 1 / np.sqrt(np.maximum(shares, _MIN_SHARE))
    return weights


def class_scores(counts: NDArray[np.int64], doubts: Floats) -> Floats:
    """Return what each class adds to each frame's score, (F, N); frames' scores have mean 1.

    Args:
        counts: Pixels by frame and class, (F, N).
        doubts: Sums of 1 - probability by frame and class, (F, N).
    """
    pixels = np.maximum(counts.sum(1, keepdims=True), 1)
    parts = doubts * class_weights(counts) / pixels
    mean = parts.sum(1).mean() if len(parts) else 0.0
    scaled: Floats = parts / mean if mean > 0 else np.zeros_like(parts)
    return scaled


def unit_features(features: NDArray[np.floating]) -> Floats:
    """Return features (F, C) about their mean, each of length 1, so that products are cosines."""
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    units: Floats = centred / np.maximum(lengths, 1e-12)
    return units


def select_frames(
    counts: NDArray[np.int64],
    doubts: Floats,
    features: NDArray[np.floating],
    streams: Sequence[str],
    stamps_ns: Sequence[int],
    count: int,
    *,
    gap_ns: int,
) -> list[Choice]:
    """Choose frames in the order of their worth; fewer where the gaps leave no more.

    Args:
        counts: Pixels by frame and predicted class, (F, N).
        doubts: Sums of 1 - probability by frame and predicted class, (F, N).
        features: Pooled features, (F, C).
        streams: What camera of what bag each frame is of; the gap holds within each.
        stamps_ns: Stamps of the frames [ns].
        count: Frames wanted.
        gap_ns: Least time between two of them [ns].
    """
    if not len(counts):
        return []
    parts = class_scores(counts, doubts)
    scores, units = parts.sum(1), unit_features(features)
    # Frames that are sure of everything are still chosen by their distance alone.
    worth = np.maximum(scores, 1e-6)
    stamps = np.asarray(stamps_ns, np.int64)
    names, places = np.unique(np.asarray(streams, object).astype(str), return_inverse=True)
    del names
    is_free = np.ones(len(scores), np.bool_)
    distances = np.full(len(scores), 2.0)
    chosen: list[Choice] = []
    while len(chosen) < count and is_free.any():
        # Of equals, argmax takes the first: the order of the candidates decides.
        index = int(np.argmax(np.where(is_free, worth * distances, -1.0)))
        main = np.argsort(-parts[index], kind='stable')[:3]
        chosen.append(
            Choice(
                index, float(scores[index]), float(distances[index]),
                tuple(int(c) for c in main if parts[index, c] > 0),
            )
        )  # fmt: skip
        is_near = (places == places[index]) & (np.abs(stamps - stamps[index]) < gap_ns)
        is_free &= ~is_near
        is_free[index] = False
        distances = np.minimum(distances, np.maximum(1 - units @ units[index], 0.0))
    return chosen
