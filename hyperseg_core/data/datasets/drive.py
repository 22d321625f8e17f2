# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered streets as a data set: every index is another street at another time."""

import numpy as np

from hyperseg_core.data.pairs import Image
from hyperseg_core.data.pairs import Labels
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.errors import InputError
from hyperseg_core.labels import load_labels

_FIRST_SEED = {'train': 1_000, 'val': 2_000_000, 'test': 3_000_000}
_SIZES = {'train': 2_000, 'val': 50, 'test': 100}


class DriveData:
    """A split; the seeds of `val` and `test` are never trained on."""

    def __init__(self, split: str, *, height: int = 480, width: int = 640) -> None:
        """Choose a split and a frame size [px].

        Raises:
            InputError: If there is no such split.
        """
        if split not in _SIZES:
            msg = f'drive has no split {split!r}; known: {", ".join(_SIZES)}.'
            raise InputError(msg)
        self.labels = load_labels('camvid')
        self._split, self._height, self._width = split, height, width

    def __len__(self) -> int:
        """Return the number of samples."""
        return _SIZES[self._split]

    def name(self, index: int) -> str:
        """Return the street's seed and time."""
        return f'drive street {_FIRST_SEED[self._split] + index} at {self._time_s(index):.1f} s'

    def load(self, index: int) -> tuple[Image, Labels]:
        """Render a sample."""
        scene = DriveScene(
            _FIRST_SEED[self._split] + index, height=self._height, width=self._width
        )
        frame = scene.frame(self._time_s(index))
        return frame.image, frame.labels

    def _time_s(self, index: int) -> float:
        return float(np.random.default_rng(index).uniform(0, 40))
