# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Is a picture worth a person's time: dark, over-exposed, blurred or frozen ones are not."""

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE_PX = 320
_DARK, _BRIGHT = 24.0, 250
_MAX_BRIGHT_SHARE = 0.5
_MIN_SHARPNESS = 12.0
"""Variance of the Laplacian at `_SIDE_PX`; sharp street scenes have hundreds."""


def picture_fault(image: NDArray[np.uint8]) -> str:
    """Return what is wrong with a picture (H, W, 3) uint8, RGB; '' for nothing."""
    scale = _SIDE_PX / max(image.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    if float(grey.mean()) < _DARK:
        return 'too dark'
    if float((grey >= _BRIGHT).mean()) > _MAX_BRIGHT_SHARE:
        return 'over-exposed'
    if float(cv2.Laplacian(grey, cv2.CV_64F).var()) < _MIN_SHARPNESS:
        return 'blurred'
    return ''


def picture_digest(image: NDArray[np.uint8]) -> bytes:
    """Return what is alike only of pictures with the same pixels: those of a frozen camera."""
    shape = str(image.shape).encode()
    return hashlib.blake2b(shape + np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
