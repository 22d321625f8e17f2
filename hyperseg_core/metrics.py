# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From label maps to scores: an integer confusion matrix and what follows from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.labels import IGNORE_ID

Matrix = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of a confusion matrix, as fractions in [0, 1].

    Classes that occur neither in the labels nor in the prediction have no IoU (NaN) and are left
    out of the mean.
    """

    mean_iou: float
    per_class_iou: tuple[float, ...]
    pixel_accuracy: float

    @staticmethod
    def from_confusion(matrix: Matrix) -> 'Scores':
        """Score a matrix of pixel counts as `confusion_matrix` returns it, (N, N + 1)."""
        num_classes = matrix.shape[0]
        hits = np.diag(matrix).astype(np.float64)
        union = matrix[:, :num_classes].sum(0) + matrix.sum(1) - hits
        with np.errstate(invalid='ignore', divide='ignore'):
            iou = hits / union
            accuracy = hits.sum() / matrix.sum()
        mean = float(np.nanmean(iou)) if np.isfinite(iou).any() else float('nan')
        return Scores(mean, tuple(iou.tolist()), float(accuracy))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; NaN becomes None, as JSON has no NaN."""
        return {
            'mean_iou': _or_none(self.mean_iou),
            'per_class_iou': [_or_none(value) for value in self.per_class_iou],
            'pixel_accuracy': _or_none(self.pixel_accuracy),
        }


def _or_none(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def confusion_matrix(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int
) -> Matrix:
    """Count pixels by true and predicted class.

    Args:
        truth: Ids, any shape; 255 is not counted.
        prediction: Ids, same shape; those that are no class count as a miss.
        num_classes: N.

    Returns:
        (N, N + 1): rows the truth, columns the prediction, the last one no class.
    """
    known = truth != IGNORE_ID
    predicted = np.minimum(prediction[known], num_classes).astype(np.int64)
    flat = truth[known].astype(np.int64) * (num_classes + 1) + predicted
    counts = np.bincount(flat, minlength=num_classes * (num_classes + 1))
    return counts.reshape(num_classes, num_classes + 1)


def confidence_counts(
    truth: NDArray[np.uint8], prediction: NDArray[np.uint8], confidence: NDArray[np.uint8]
) -> Matrix:
    """Count pixels, and those whose class is right, by confidence.

    Args:
        truth: Ids, any shape; 255 is not counted.
        prediction: Ids, same shape.
        confidence: 255 = a probability of 1, same shape.

    Returns:
        (2, 256): all pixels and the right ones, by confidence.
    """
    known = truth != IGNORE_ID
    sure, is_right = confidence[known], truth[known] == prediction[known]
    return np.stack(
        [np.bincount(sure, minlength=256), np.bincount(sure[is_right], minlength=256)]
    ).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often pixels of a confidence are right, in bins of equal width (Guo, ICML 2017)."""

    shares: tuple[float, ...]
    """Share of all pixels that each bin holds."""
    confidences: tuple[float, ...]
    """Mean confidence in each bin, in [0, 1]; NaN where it holds none."""
    accuracies: tuple[float, ...]
    """Share of its pixels that are right; NaN where it holds none."""

    @staticmethod
    def from_counts(counts: Matrix, *, bins: int = 15) -> 'Reliability':
        """Take counts as `confidence_counts` returns them, (2, 256)."""
        sure = np.arange(256) / 255
        place = np.minimum((sure * bins).astype(np.int64), bins - 1)
        pixels, right = (np.bincount(place, row, bins) for row in counts)
        total = np.bincount(place, counts[0] * sure, bins)
        with np.errstate(invalid='ignore', divide='ignore'):
            shares, means, accuracies = pixels / pixels.sum(), total / pixels, right / pixels
        return Reliability(*(tuple(row.tolist()) for row in (shares, means, accuracies)))

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of confidence and accuracy over the pixels, in [0, 1]."""
        gaps = np.abs(np.subtract(self.confidences, self.accuracies))
        return float(np.nansum(np.multiply(self.shares, gaps)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; NaN becomes None, as JSON has no NaN."""
        return {
            'expected_calibration_error': _or_none(self.expected_calibration_error),
            'reliability': {
                name: [_or_none(value) for value in getattr(self, name)]
                for name in ('shares', 'confidences', 'accuracies')
            },
        }


def boundary_confusion(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    num_classes: int,
    *,
    dilation_ratio: float = 0.02,
) -> Matrix:
    """Count, per class, the pixels within a distance of the class's boundary.

    Boundary IoU (Cheng et al., CVPR 2021) is the IoU of these inner bands; the distance is
    `dilation_ratio` of the image's diagonal, 0.02 as published.

    Args:
        truth: Ids (H, W); 255 is not counted.
        prediction: Ids (H, W).
        num_classes: N.
        dilation_ratio: Width of the band as a share of the diagonal.

    Returns:
        (3, N): pixels in both bands, in the truth's and in the prediction's.
    """
    import cv2

    distance = max(1, round(dilation_ratio * float(np.hypot(*truth.shape))))
    kernel = np.ones((3, 3), np.uint8)
    known = truth != IGNORE_ID
    counts = np.zeros((3, num_classes), np.int64)
    for index in range(num_classes):
        bands = []
        for ids in (truth, prediction):
            region = (ids == index).astype(np.uint8)
            inner = cv2.erode(
                region, kernel, iterations=distance, borderType=cv2.BORDER_CONSTANT, borderValue=0
            )
            bands.append((region > inner) & known)
        counts[:, index] = (bands[0] & bands[1]).sum(), bands[0].sum(), bands[1].sum()
    return counts
