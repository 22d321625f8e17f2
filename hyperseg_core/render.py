# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of results: coloured ids, overlays, contact sheets, confusion matrices."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.metrics import Reliability

Image = NDArray[np.uint8]
_TEXT_PX = 18
_JPEG_QUALITY = 80
_WRONG, _RIGHT, _UNKNOWN = (220, 50, 50), (225, 235, 225), (120, 120, 120)


def colourise(ids: Image, labels: LabelSet) -> Image:
    """Turn ids (H, W) into the label set's colours (H, W, 3); 255 is black."""
    return labels.palette()[ids]


def overlay(image: Image, ids: Image, labels: LabelSet, *, alpha: float = 0.5) -> Image:
    """Lay the colours of ids over an image; unlabelled pixels stay as they are.

    Args:
        image: (H, W, 3) uint8, RGB.
        ids: (H, W) uint8.
        labels: What the ids mean.
        alpha: Opacity of the colours, 0 to 1.
    """
    blended = cv2.addWeighted(image, 1 - alpha, colourise(ids, labels), alpha, 0)
    unlabelled = ids == IGNORE_ID
    if unlabelled.any():
        blended[unlabelled] = image[unlabelled]
    return blended.astype(np.uint8, copy=False)


def errors_image(truth: Image, class_ids: Image) -> Image:
    """Paint wrong pixels red, right ones pale, and those without a label grey: (H, W, 3)."""
    image = np.where((truth == class_ids)[..., None], _RIGHT, _WRONG).astype(np.uint8)
    image[truth == IGNORE_ID] = _UNKNOWN
    return image


def contact_sheet(
    images: Sequence[Image], captions: Sequence[str], *, columns: int = 3, width: int = 320
) -> Image:
    """Arrange images (H, W, 3) in a grid, each with its caption above.

    Args:
        images: At least one.
        captions: One for each.
        columns: Images in a row.
        width: Width of each image in the grid [px].
    """
    tiles = []
    for image, caption in zip(images, captions, strict=True):
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        tile = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        bar = np.zeros((_TEXT_PX, width, 3), np.uint8)
        cv2.putText(
            bar, caption[: width // 7], (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4,
            (255, 255, 255), 1, cv2.LINE_AA,
        )  # fmt: skip
        tiles.append(np.vstack((bar, tile)))
    tallest = max(tile.shape[0] for tile in tiles)
    padded = [np.pad(tile, ((0, tallest - len(tile)), (0, 0), (0, 0))) for tile in tiles]
    while len(padded) % columns:
        padded.append(np.zeros_like(padded[0]))
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    return np.vstack(rows).astype(np.uint8, copy=False)


def confusion_image(matrix: NDArray[np.int64], labels: LabelSet) -> Image:
    """Draw a confusion matrix (N, N + 1) in percent of the true class, rows the truth."""
    cell, margin = 46, 130
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    rows, cols = share.shape
    image = np.full((margin + rows * cell, margin + cols * cell, 3), 255, np.uint8)
    names = (*labels.names, 'no class')

    def write(text: str, x: int, y: int, colour: tuple[int, int, int] = (0, 0, 0)) -> None:
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)

    for row in range(rows):
        write(names[row], 4, margin + row * cell + 28)
        for col in range(cols):
            shade = int(255 * (1 - share[row, col]))
            top, left = margin + row * cell, margin + col * cell
            image[top : top + cell - 1, left : left + cell - 1] = (shade, shade, 255)
            ink = (255, 255, 255) if share[row, col] > 0.5 else (60, 60, 60)
            write(f'{100 * share[row, col]:.1f}', left + 6, top + 28, ink)
    for col in range(cols):
        write(names[col][:7], margin + col * cell + 1, margin - 8 - 14 * (col % 2))
    write('truth: rows, prediction: columns, % of the truth', 4, 20)
    return image


def reliability_image(reliability: Reliability) -> Image:
    """Draw how often pixels are right by how sure they are; the diagonal is calibrated."""
    side, margin = 360, 50
    image = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)
    bottom, bins = margin + side, len(reliability.shares)
    grey, blue, black = (150, 150, 150), (70, 120, 200), (0, 0, 0)

    def write(text: str, x: int, y: int) -> None:
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, black, 1, cv2.LINE_AA)

    for index, accuracy in enumerate(reliability.accuracies):
        if np.isfinite(accuracy):
            left, right = (margin + side * (index + i) // bins for i in (0, 1))
            top = bottom - round(side * accuracy)
            # Bins of few pixels are pale.
            alpha = 0.25 + 0.75 * min(1.0, 10 * reliability.shares[index])
            colour = [round(255 + alpha * (value - 255)) for value in blue]
            cv2.rectangle(image, (left, top), (right - 2, bottom), colour, -1)
    cv2.line(image, (margin, bottom), (margin + side, margin), grey, 1, cv2.LINE_AA)
    cv2.rectangle(image, (margin, margin), (margin + side, bottom), black, 1)
    for tick in (0.0, 0.5, 1.0):
        write(f'{tick:g}', margin + round(side * tick) - 8, bottom + 16)
        write(f'{tick:g}', margin - 28, bottom - round(side * tick) + 4)
    write('confidence (pale: few pixels)', margin + 90, bottom + 36)
    write('share that is right', 8, margin - 14)
    error = reliability.expected_calibration_error
    write(f'expected calibration error {error:.4f}', margin + 130, margin - 14)
    return image


def encode_jpeg(image: Image, max_width: int) -> bytes:
    """Encode an image (H, W, 3), RGB, as JPEG for browsers, no wider than `max_width` [px]."""
    height, width = image.shape[:2]
    if width > max_width:
        size = (max_width, max(1, round(height * max_width / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    ordered = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    is_encoded, data = cv2.imencode('.jpg', ordered, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    assert is_encoded
    return data.tobytes()


def write_png(path: 'str | object', image: Image) -> None:
    """Write an RGB or grey image as PNG.

    Raises:
        OSError: If it cannot be written.
    """
    ordered = image if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])
    # Not by OpenCV, which dies of a name that is no UTF-8.
    is_encoded, data = cv2.imencode('.png', ordered)
    assert is_encoded
    Path(str(path)).write_bytes(data.tobytes())
