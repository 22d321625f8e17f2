# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How points with classes lie in a PointCloud2: one layout for each kind of reader.

`xyzcpe` is what Autoware calls PointXYZCPE, field for field and byte for byte; `xyzrgb_label` is
what RViz and Foxglove colour; `organised` has a point for each pixel of the mask, in its order, as
Nav2's semantic segmentation layer asks.
"""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_ros.messages.point_cloud import Points

Bytes = NDArray[np.uint8]

LAYOUTS: Mapping[str, np.dtype[np.void]] = {
    'xyzcpe': np.dtype(
        {
            'names': ['x', 'y', 'z', 'class_id', 'probability', 'entropy'],
            'formats': ['<f4', '<f4', '<f4', 'u1', '<f4', '<f4'],
            'offsets': [0, 4, 8, 12, 16, 20],
            'itemsize': 24,
        }
    ),
    'xyzrgb_label': np.dtype(
        {
            'names': ['x', 'y', 'z', 'rgb', 'label', 'confidence'],
            'formats': ['<f4', '<f4', '<f4', '<f4', 'u1', 'u1'],
            'offsets': [0, 4, 8, 12, 16, 17],
            'itemsize': 20,
        }
    ),
    'organised': np.dtype(
        {
            'names': ['x', 'y', 'z', 'label', 'confidence'],
            'formats': ['<f4', '<f4', '<f4', 'u1', 'u1'],
            'offsets': [0, 4, 8, 12, 13],
            'itemsize': 16,
        }
    ),
}
AUTOWARE_CAMVID: tuple[str, ...] = (
    'road:8', 'pavement:8', 'car:0', 'bicyclist:4', 'pedestrian:5', 'building:9', 'fence:9',
    'pole:9', 'sign symbol:9', 'tree:10',
)  # fmt: skip
"""CamVid's classes as Autoware's PointCloudClassification numbers them, for `class_map`."""
_PROBABILITY = (np.arange(256) / 255).astype(np.float32)


def class_table(label_set: LabelSet, class_map: Sequence[str]) -> Bytes:
    """Return the table from our ids to those of a reader, (256,).

    Args:
        label_set: What our ids mean.
        class_map: `name:id` of classes or groups; those not named become 255. Empty: ours.

    Raises:
        ConfigError: If an entry is no such pair, or names no class.
    """
    if not class_map:
        return np.arange(256, dtype=np.uint8)
    table = np.full(256, IGNORE_ID, np.uint8)
    for entry in class_map:
        name, _, number = entry.rpartition(':')
        if not name or not number.isdecimal() or int(number) > IGNORE_ID:
            msg = f'class_map has {entry!r}, expected NAME:ID with an id from 0 to 255.'
            raise ConfigError(msg)
        table[list(label_set.ids((name,)))] = int(number)
    return table


def entropy_table() -> NDArray[np.float32]:
    """Return the entropy [nat] of each confidence, (256,): of the class against all others.

    A mask tells the first class's probability only, so this is the least that it can be.
    """
    p = np.clip(np.arange(256) / 255, 1e-12, 1 - 1e-12)
    return (-p * np.log(p) - (1 - p) * np.log(1 - p)).astype(np.float32)


def colour_table(label_set: LabelSet) -> NDArray[np.float32]:
    """Return each id's colour as PCL packs it, 0x00RRGGBB in the bits of a float, (256,)."""
    colours = label_set.palette().astype(np.uint32)
    packed = (colours[:, 0] << 16) | (colours[:, 1] << 8) | colours[:, 2]
    return packed.astype(np.uint32).view(np.float32)


class PointLayout:
    """Writes points, classes and confidences in a layout, always into the same memory."""

    def __init__(self, name: str, label_set: LabelSet, class_map: Sequence[str] = ()) -> None:
        """Prepare the tables.

        Raises:
            ConfigError: If `class_map` does not fit the label set.
        """
        self.name, self.kind = name, LAYOUTS[name]
        self._classes = class_table(label_set, class_map)
        self._colours, self._entropies = colour_table(label_set), entropy_table()
        self._memory = np.zeros(0, self.kind)

    @property
    def is_dense(self) -> bool:
        """Whether points that are not finite are left out."""
        return self.name != 'organised'

    def fill(self, points: Points, class_ids: Bytes, confidence: Bytes) -> NDArray[np.void]:
        """Write points.

        Args:
            points: (N, 3) [m]; of an image row by row.
            class_ids: (N,).
            confidence: (N,), 0 to 255.

        Returns:
            (N,), or fewer where the layout is dense; valid until the next call.
        """
        if self.is_dense:
            with np.errstate(all='ignore'):  # the sum of three is quick, and may be too large
                is_finite = np.isfinite(points[:, 0] + points[:, 1] + points[:, 2])
            if not is_finite.all():
                is_finite = np.isfinite(points).all(axis=1)
                kept = np.flatnonzero(is_finite)
                points = points.take(kept, axis=0)
                class_ids, confidence = class_ids.take(kept), confidence.take(kept)
        if len(self._memory) < len(points):
            self._memory = np.zeros(len(points), self.kind)
        out = self._memory[: len(points)]
        for index, name in enumerate('xyz'):  # three strided copies are faster than one block
            out[name] = points[:, index]
        if self.name == 'xyzcpe':
            out['class_id'] = self._classes.take(class_ids)
            out['probability'] = _PROBABILITY.take(confidence)
            out['entropy'] = self._entropies.take(confidence)
            return out
        if self.name == 'xyzrgb_label':
            out['rgb'] = self._colours.take(class_ids)
        out['label'] = self._classes.take(class_ids)
        out['confidence'] = confidence
        return out
