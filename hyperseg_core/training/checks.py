# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a recipe and its data fit each other, before anything is built."""

from collections.abc import Sequence

from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import LabelSet
from hyperseg_core.training.config import TrainConfig

_MAX_DISTORTION = 1.3
"""How much wider a picture may become by its base size, or narrower: 4:3 at 3:2 is 1.125."""


def check_recipe(
    config: TrainConfig, label_set: LabelSet, sources: Sequence[SegmentationData]
) -> None:
    """Check a recipe against the classes and the images that it is to be trained on.

    Raises:
        ConfigError: For the first thing that does not fit, naming both sides.
    """
    weights = config.loss.class_weights
    if weights is not None and len(weights) != len(label_set):
        msg = (
            f'loss.class_weights has {len(weights)} entries, but label set {label_set.name!r} has '
            f'{len(label_set)} classes ({", ".join(label_set.names)}); give one for each, or null.'
        )
        raise ConfigError(msg)
    beyond = [item for item in config.augment.rare_classes if not 0 <= item < len(label_set)]
    if beyond:
        msg = (
            f'augment.rare_classes names id {beyond[0]}, but label set {label_set.name!r} has '
            f'only ids 0 to {len(label_set) - 1}; give ids of classes that are rare there, or [].'
        )
        raise ConfigError(msg)
    trainer = config.trainer
    if trainer.batch_size > trainer.images_per_epoch:
        msg = (
            f'trainer.batch_size is {trainer.batch_size}, but trainer.images_per_epoch is '
            f'{trainer.images_per_epoch}: not one step would be made; lower the first or raise '
            f'the second.'
        )
        raise ConfigError(msg)
    for source, choice in zip(sources, config.data.train, strict=True):
        _check_aspect(source, choice, choice.base_size or config.augment.base_size)


def _check_aspect(
    source: SegmentationData, choice: SourceConfig, base_size: tuple[int, int] | None
) -> None:
    """Check that a source's images are not squeezed by its base size, or stretched.

    Raises:
        ConfigError: If its first image is.
    """
    if base_size is None:
        return
    height, width = source.load(0)[1].shape
    ratio = (base_size[1] / base_size[0]) / (width / height)
    if not 1 / _MAX_DISTORTION <= ratio <= _MAX_DISTORTION:
        msg = (
            f'Images of {choice.kind!r} ({choice.root}) are {height} x {width} px, '
            f'{width / height:.2f}:1, but base_size {base_size[0]} x {base_size[1]} px is '
            f'{base_size[1] / base_size[0]:.2f}:1. If they were squeezed, say `aspect: '
            f"{base_size[1] / base_size[0]:g}` in the data set's YAML; else give the source a "
            f'`base_size` of its own.'
        )
        raise ConfigError(msg)
