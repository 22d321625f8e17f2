# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's tensors with the batch norms folded away, in float64, by NumPy.

A frozen batch norm is y = a x + c per channel. After a static convolution, a and c go into its
kernel and bias. After a dynamic one, a goes into the rows of the weight mapper that make that
output channel's weights, and c stays as a bias.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import CheckpointError
from hyperseg_core.model.levels import Level
from hyperseg_core.model.levels import Mapper

Floats = NDArray[np.float64]
NORM_EPS = 1e-5
"""Epsilon of all batch norms but the EfficientNet's own."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A convolution and what its batch norm left."""

    name: str
    kernel: Floats
    """(out, in / groups, k, k)."""
    bias: Floats | None
    """(out)."""


class FoldedWeights:
    """Hands out tensors by name, folded and checked; each is read once."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take a state dict of `HyperSeg`, float16 or float32."""
        self._tensors = dict(tensors)

    def conv_norm(
        self, conv: str, norm: str, shape: tuple[int, int, int, int], *, eps: float = NORM_EPS
    ) -> Folded:
        """Return a bias-free convolution with the batch norm behind it."""
        kernel = self._take(f'{conv}.weight', shape)
        scale, shift = self._scale_and_shift(norm, shape[0], eps)
        return Folded(conv, kernel * _per_kernel(scale), shift)

    def conv_bias(self, conv: str, shape: tuple[int, int, int, int]) -> Folded:
        """Return a convolution that has a bias and no batch norm."""
        bias = self._take(f'{conv}.bias', shape[:1])
        return Folded(conv, self._take(f'{conv}.weight', shape), bias)

    def mapper(self, index: int, mapper: Mapper, scales: Sequence[Floats]) -> Folded:
        """Return a weight mapper, its rows scaled by `scales`, one after another from the first.

        Rows beyond them fill up whole groups and are never used.
        """
        name = f'decoder.weight_mappers.{index}.conv'
        shape = (mapper.out_channels, mapper.width // mapper.groups, 1, 1)
        kernel = self._take(f'{name}.weight', shape)
        per_row = np.concatenate(scales)
        kernel[: len(per_row)] *= _per_kernel(per_row)
        return Folded(name, kernel, None)

    def level_norms(self, index: int, level: Level) -> tuple[Floats, list[Floats]]:
        """Return what a level's batch norms scale its dynamic weights by, and its biases."""
        scales, shifts = [], []
        sizes = zip(level.split, level.norm_channels, strict=True)
        for position, (size, channels) in enumerate(sizes):
            name = f'decoder.meta_blocks.{index}.norms.{position}'
            scale, shift = self._scale_and_shift(name, channels, NORM_EPS)
            scales.append(scale.repeat(size // channels))
            shifts.append(shift)
        return np.concatenate(scales), shifts

    def check_all_read(self) -> None:
        """Check that the network needed every tensor.

        Raises:
            CheckpointError: If some are left.
        """
        if self._tensors:
            left = sorted(self._tensors)
            msg = (
                f'The checkpoint does not fit the network that it describes: {len(left)} '
                f'unexpected {left[:5]}. Export it again.'
            )
            raise CheckpointError(msg)

    def _scale_and_shift(self, norm: str, channels: int, eps: float) -> tuple[Floats, Floats]:
        """Return a and c of a frozen batch norm, (C) each."""
        weight, bias, mean, variance = (
            self._take(f'{norm}.{leaf}', (channels,))
            for leaf in ('weight', 'bias', 'running_mean', 'running_var')
        )
        scale = weight / np.sqrt(variance + eps)
        return scale, bias - mean * scale

    def _take(self, key: str, shape: tuple[int, ...]) -> Floats:
        tensor = self._tensors.pop(key, None)
        if tensor is None or tensor.shape != shape:
            found = 'is missing' if tensor is None else f'has shape {tensor.shape}'
            msg = (
                f'The checkpoint does not fit the network that it describes: {key} {found}, but '
                f'the network needs {shape}. Export it again.'
            )
            raise CheckpointError(msg)
        return tensor.astype(np.float64)


def _per_kernel(scale: Floats) -> Floats:
    return scale[:, None, None, None]
