# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encodings that we do not know ourselves: cv_bridge's, where it is installed and works."""

import functools
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError

_logger = logging.getLogger(__name__)


def foreign_to_rgb(message: Any) -> NDArray[np.uint8] | None:
    """Let cv_bridge read an Image message as (H, W, 3) uint8 RGB; None where there is none.

    Raises:
        InputError: If cv_bridge cannot read it either.
    """
    bridge = _bridge()
    if bridge is None:
        return None
    try:
        pixels = np.asarray(bridge.imgmsg_to_cv2(message, 'rgb8'))
    except Exception as err:  # cv_bridge raises its own, OpenCV's and NumPy's errors
        msg = f'Encoding {message.encoding[:80]!r} is known neither to us nor to cv_bridge: {err}'
        raise InputError(msg) from err
    if pixels.dtype != np.uint8 or pixels.shape != (message.height, message.width, 3):
        msg = f'cv_bridge makes {pixels.shape}, {pixels.dtype} of encoding {message.encoding!r}.'
        raise InputError(msg)
    return pixels


@functools.cache
def _bridge() -> Any:
    """Import cv_bridge once; what is wrong with it is one warning."""
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except ModuleNotFoundError:
        return None
    except Exception as err:  # built for another NumPy, it raises ImportError or AttributeError
        _logger.warning(
            'cv_bridge is installed but cannot be imported (%s); encodings that only it knows '
            'are dropped. It may have been built for another NumPy: python -c "import cv_bridge".',
            err,
        )
        return None
