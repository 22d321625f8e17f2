# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report of `hyperseg evaluate`: scores, confusion, calibration and frames, in one file."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.html_report import HtmlReport
from hyperseg_core.labels import LabelSet
from hyperseg_core.metrics import Reliability
from hyperseg_core.metrics import Scores
from hyperseg_core.render import Image
from hyperseg_core.render import colourise
from hyperseg_core.render import errors_image
from hyperseg_core.render import overlay
from hyperseg_core.render import reliability_image


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFrame:
    """An image with its truth and what was predicted."""

    name: str
    mean_iou: float
    image: Image
    truth: Image
    class_ids: Image


def write_report(
    path: Path,
    report: dict[str, Any],
    matrix: NDArray[np.int64],
    label_set: LabelSet,
    reliability: Reliability,
    frames: Iterable[ShownFrame],
) -> None:
    """Write what was scored as one HTML file.

    Args:
        path: The file.
        report: What scores.json holds.
        matrix: Confusion, (N, N + 1), rows the truth.
        label_set: The classes.
        reliability: How often pixels are right by how sure they are.
        frames: Frames to show, the worst first.

    Raises:
        OSError: If it cannot be written.
    """
    page = HtmlReport(f'{report["data"]} {report["split"]}: mean IoU {report["mean_iou"]:.4f}')
    page.text(
        f'Checkpoint {report["checkpoint"][:12]} on {report["engine"]}, {report["images"]} '
        f'images, {report["date"]}.'
    )
    page.text(
        f'Pixel accuracy {report["pixel_accuracy"]:.4f}, expected calibration error '
        f'{reliability.expected_calibration_error:.4f}.'
    )
    page.heading('Classes')
    scores = Scores.from_confusion(matrix)
    pixels = matrix.sum(1) / max(1, matrix.sum())
    rows = [
        (name, float(iou), float(edge), f'{100 * share:.2f} %')
        for name, iou, edge, share in zip(
            label_set.names, scores.per_class_iou, report['boundary_iou'], pixels, strict=True
        )
    ]
    rows.append(('mean', scores.mean_iou, report['mean_boundary_iou'], ''))
    page.table(('class', 'IoU', 'boundary IoU', 'of the pixels'), rows)
    page.heading('Confusion')
    page.text('Percent of the truth (rows) that was taken for a class (columns).')
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    page.matrix('truth', label_set.names, (*label_set.names, 'no class'), shares)
    page.heading('Calibration')
    page.pictures(
        [('How often pixels are right by how sure they are', reliability_image(reliability))]
    )
    page.heading('Frames, the worst first')
    for frame in frames:
        page.pictures(
            [
                (f'{frame.name}: {frame.mean_iou:.3f}', frame.image),
                ('predicted', overlay(frame.image, frame.class_ids, label_set)),
                ('truth', colourise(frame.truth, label_set)),
                ('wrong', errors_image(frame.truth, frame.class_ids)),
            ]
        )
    page.write(path)
