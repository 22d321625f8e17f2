# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg import-published`."""

from datetime import date
import logging
from pathlib import Path

from hyperseg_core.checkpoint import save_checkpoint
from hyperseg_core.labels import load_labels

_logger = logging.getLogger(__name__)
_LABELS = {'camvid': 'camvid', 'cityscapes': 'cityscapes', 'vocsbd': 'voc'}


def import_published_command(
    file: Path, out: Path, preset: str | None = None, labels: str | None = None
) -> None:
    """Turn a published .pth into a checkpoint.

    Args:
        file: The published file.
        out: Where to write the .safetensors.
        preset: Published preset; guessed from the file where it is not given.
        labels: Label set, by name or YAML path; the preset's own where it is not given.
    """
    from hyperseg_core.model.published import import_published

    model = import_published(file, preset)
    name = model.config.name
    label_set = load_labels(labels or _LABELS[name.rsplit('-', 1)[0]])
    provenance = {
        'source': f'published HyperSeg checkpoint {file.name}',
        'licence': 'as stated by its authors',
        'recipe': f'published, {name}',
        'date': date.today().isoformat(),
    }
    save_checkpoint(out, model, label_set, provenance=provenance)
    _logger.info('Wrote %s: %s, %d classes.', out, name, model.config.num_classes)
