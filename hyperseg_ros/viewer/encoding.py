# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays to what browsers decode: pictures to JPEG, ids and confidence to PNG of 8 bits."""

import cv2
import numpy as np
from numpy.typing import NDArray

_JPEG_QUALITY = 80
_PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, 3)
"""Run lengths: ids are flat, and the robot's time is dearer than the last byte."""


def encode_picture(pixels: NDArray[np.uint8], max_width: int) -> bytes:
    """Encode RGB (H, W, 3) as JPEG, no wider than `max_width` [px]."""
    height, width = pixels.shape[:2]
    if width > max_width:
        size = (max_width, max(1, round(height * max_width / width)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    ordered = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
    is_encoded, data = cv2.imencode('.jpg', ordered, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    assert is_encoded
    return data.tobytes()


def encode_values(values: NDArray[np.uint8], max_width: int) -> bytes:
    """Encode ids or confidence (H, W), 0 to 255, as grey PNG.

    Wider ones are thinned out: values that were not there are never made.

    Args:
        values: (H, W) uint8.
        max_width: Greatest width [px].
    """
    height, width = values.shape
    if width > max_width:
        size = (max_width, max(1, round(height * max_width / width)))
        values = cv2.resize(values, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    is_encoded, data = cv2.imencode('.png', np.ascontiguousarray(values), _PNG_OPTIONS)
    assert is_encoded
    return data.tobytes()
