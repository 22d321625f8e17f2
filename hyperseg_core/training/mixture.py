# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feeding a training run: which samples an epoch draws, and how one becomes tensors.

Every draw of a run has a number, and its augmentation is seeded with it. So a batch depends on
the seed and its place in the run alone: not on the number of workers or processes, nor on
whether the run was interrupted.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data import Sampler
from torchvision import tv_tensors

from hyperseg_core.data.pairs import Image
from hyperseg_core.data.pairs import Labels
from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.labels import LabelSet
from hyperseg_core.training.augmentation import AugmentConfig
from hyperseg_core.training.augmentation import build_augmentation
from hyperseg_core.training.augmentation import paste_classes

Draw = tuple[int, int, int]
"""Number of the draw in the run, source, index in the source."""


class MixtureDataset(Dataset[dict[str, Any]]):
    """Samples of several sources, augmented."""

    def __init__(
        self,
        sources: Sequence[SegmentationData],
        augment: AugmentConfig,
        seed: int,
        *,
        base_sizes: Sequence[tuple[int, int] | None] | None = None,
    ) -> None:
        """Take the sources, what happens to their images, and the run's seed.

        Args:
            sources: Where samples come from.
            augment: What happens to their images.
            seed: The run's.
            base_sizes: Size that each source's images are brought to first [px], where it is not
                the recipe's.
        """
        self._sources, self._config, self._seed = tuple(sources), augment, seed
        self._augment = [
            build_augmentation(replace(augment, base_size=size or augment.base_size))
            for size in base_sizes or [None] * len(sources)
        ]
        self._tables, _ = shared_unions([source.labels for source in sources])

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        """Return `image` (3, H, W) uint8, `labels` (H, W) uint8 and `name`."""
        number, source_index, index = draw
        source = self._sources[source_index]
        image, labels = source.load(index)
        labels = self._tables[source_index][labels]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(hash((self._seed, number)) % 2**63)
            pasting = self._config.paste_probability
            if pasting and float(torch.rand(())) < pasting:
                image, labels = self._with_rare_things(source_index, image, labels)
            tv_image = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1).contiguous())
            tv_mask = tv_tensors.Mask(torch.from_numpy(labels.copy()))
            out_image, out_mask = self._augment[source_index](tv_image, tv_mask)
        return {
            'image': out_image.as_subclass(Tensor).contiguous(),
            'labels': out_mask.as_subclass(Tensor).contiguous(),
            'name': source.name(index),
        }

    def _with_rare_things(
        self, source_index: int, image: Image, labels: Labels
    ) -> tuple[Image, Labels]:
        """Paste each rare class of another sample, or not, as the coin falls; mirrored or not."""
        source = self._sources[source_index]
        other_image, other_labels = source.load(int(torch.randint(len(source), ())))
        if float(torch.rand(())) < 0.5:
            other_image, other_labels = other_image[:, ::-1], other_labels[:, ::-1]
        chosen = [rare for rare in self._config.rare_classes if float(torch.rand(())) < 0.5]
        return paste_classes(image, labels, other_image, other_labels, chosen)


def shared_unions(
    label_sets: Sequence[LabelSet],
) -> tuple[list[Labels], NDArray[np.bool_]]:
    """Give the unions of label sets with the same classes ids that differ.

    Returns:
        For each set the table (256,) from its ids to the shared ones, and which classes each
        union stands for, (K, N); union k has the id N + k.
    """
    num_classes = len(label_sets[0])
    unions: dict[bytes, int] = {}
    tables = []
    for label_set in label_sets:
        table = np.arange(256, dtype=np.uint8)
        for index, members in enumerate(label_set.union_members()):
            place = unions.setdefault(members.tobytes(), len(unions))
            table[num_classes + index] = num_classes + place
        tables.append(table)
    found = [np.frombuffer(members, np.bool_) for members in unions]
    return tables, np.array(found, np.bool_).reshape(len(found), num_classes)


class MixtureSampler(Sampler[Draw]):
    """Draws an epoch's samples: each source in shuffled passes, in proportion to its share."""

    def __init__(
        self,
        sizes: Sequence[int],
        shares: Sequence[float],
        *,
        images_per_epoch: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Describe the mixture and this process's place among the others."""
        self._sizes, self._seed = tuple(sizes), seed
        self._probabilities = np.asarray(shares, np.float64) / np.sum(shares)
        self._rank, self._world_size = rank, world_size
        self._per_process = images_per_epoch // world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration draws; Lightning calls it."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of draws of this process in an epoch."""
        return self._per_process

    def __iter__(self) -> Iterator[Draw]:
        """Draw: every process the same list, of which each takes every n-th."""
        total = self._per_process * self._world_size
        counts = np.floor(self._probabilities * total).astype(int)
        counts[0] += total - counts.sum()
        draws: list[tuple[int, int]] = []
        for source, (count, size) in enumerate(zip(counts, self._sizes, strict=True)):
            first = self._epoch * int(count)
            draws += [(source, self._in_passes(source, first + i, size)) for i in range(count)]
        order = np.random.default_rng((self._seed, self._epoch)).permutation(total)
        for place in range(self._rank, total, self._world_size):
            yield (self._epoch * total + place, *draws[order[place]])

    def _in_passes(self, source: int, position: int, size: int) -> int:
        """Return the index at a position of endless shuffled passes over a source."""
        number, place = divmod(position, size)
        key = (source, number)
        if getattr(self, '_pass_key', None) != key:
            rng = np.random.default_rng((self._seed, source, number))
            self._pass_key, self._pass_order = key, rng.permutation(size)
        return int(self._pass_order[place])
