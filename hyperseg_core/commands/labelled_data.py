# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether labelled data are of a checkpoint's classes."""

from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import LabelSet


def check_classes(
    checkpoint: str, label_set: LabelSet, data: str, source: SegmentationData
) -> None:
    """Check that data have the classes that a network knows.

    Args:
        checkpoint: What the user called it, for the message.
        label_set: Its classes.
        data: What the user called the data.
        source: The data.

    Raises:
        ConfigError: If not, naming both.
    """
    if label_set.names != source.labels.names:
        msg = (
            f'Checkpoint {checkpoint!r} knows {len(label_set)} classes ({label_set.name}) but '
            f'{data} has {len(source.labels)} ({source.labels.name}); they must be the same.'
        )
        raise ConfigError(msg)
