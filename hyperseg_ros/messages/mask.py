# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Masks and true labels: the ids that a message carries, and nothing that is no id."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import decode_plain
from hyperseg_ros.messages.raw_image import image_rows

_TYPES = {'mono8': 'u1', '8UC1': 'u1', 'mono16': 'u2', '16UC1': 'u2', '16SC1': 'i2'}
ID_ENCODINGS = tuple(_TYPES)


def read_ids(message: Any) -> NDArray[np.integer[Any]]:
    """Return the ids (H, W) of an Image or CompressedImage message, as wide as they are stored.

    Raises:
        InputError: If it is no image of one channel of 8 or 16 bits, its size is zero or absurd,
            or its data are short or damaged.
    """
    if not hasattr(message, 'step'):
        ids = decode_plain(message.data)
        if ids.ndim != 2 or ids.dtype not in (np.uint8, np.uint16):
            msg = f'A picture of shape {ids.shape}, {ids.dtype} holds no ids: one channel is.'
            raise InputError(msg)
        return ids  # type: ignore[return-value]
    if message.encoding not in _TYPES:
        msg = (
            f'Encoding {message.encoding[:80]!r} holds no ids; those that do: '
            f'{", ".join(ID_ENCODINGS)}.'
        )
        raise InputError(msg)
    kind = np.dtype(('>' if message.is_bigendian else '<') + _TYPES[message.encoding])
    rows = image_rows(message, int(message.width) * kind.itemsize, int(message.height))
    return rows if kind.itemsize == 1 else np.ascontiguousarray(rows).view(kind)
