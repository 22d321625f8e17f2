# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tensors of the reference cases, made from their names."""

import math
import zlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def uniform(name: str, shape: tuple[int, ...], salt: int = 0) -> NDArray[np.float32]:
    """Return values in [-1, 1), each the splitmix64 hash of the name, salt and flat index."""
    count = math.prod(shape)
    start = ((zlib.crc32(name.encode()) << 32) + (salt + 1) * _GOLDEN_GAMMA) & _MASK
    with np.errstate(over='ignore'):
        state = np.arange(count, dtype=np.uint64) + np.uint64(start)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
        state ^= state >> np.uint64(31)
    fraction = (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return (2.0 * fraction - 1.0).astype(np.float32).reshape(shape)


def parameter(name: str, shape: tuple[int, ...], salt: int = 0) -> NDArray[np.float32]:
    """Return a published tensor: kernels with He variance, norm scales near 1, small biases."""
    values = uniform(name, shape, salt)
    if len(shape) in {2, 4}:
        return values * np.float32(math.sqrt(3.0) * math.sqrt(2.0 / math.prod(shape[1:])))
    if name.endswith('.weight'):
        return np.float32(1.0) + np.float32(0.2) * values
    return np.float32(0.1) * values
