# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrays to the fields of image messages."""

import array
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MASK_FORMAT = 'mono8; png compressed '
"""The `format` of masks as PNG, written as image_transport does."""


def image_fields(pixels: NDArray[np.uint8], encoding: str) -> dict[str, Any]:
    """Return the fields of an Image message, but its header, of (H, W) or (H, W, 3) uint8."""
    contiguous = np.ascontiguousarray(pixels)
    return {
        'height': contiguous.shape[0],
        'width': contiguous.shape[1],
        'encoding': encoding,
        'is_bigendian': 0,
        'step': contiguous.strides[0],
        'data': contiguous.reshape(-1),
    }


def fill_image(message: Any, pixels: NDArray[np.uint8], encoding: str) -> Any:
    """Set the fields of ROS's Image message, but its header, from (H, W) or (H, W, 3) uint8."""
    fields = image_fields(pixels, encoding)
    # From an array.array rclpy takes the bytes as they are; from an ndarray, one by one (#763).
    data = array.array('B')
    data.frombytes(fields.pop('data').data)
    for name, value in fields.items():
        setattr(message, name, value)
    message.data = data
    return message


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode ids (H, W) losslessly; fast rather than small, always the same bytes."""
    is_encoded, data = cv2.imencode('.png', pixels, (cv2.IMWRITE_PNG_COMPRESSION, 1))
    assert is_encoded
    return data.tobytes()
