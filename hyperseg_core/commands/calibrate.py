# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg calibrate`: fit a checkpoint's confidence on images it was not trained on."""

import dataclasses
import logging
from pathlib import Path

import numpy as np

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.checkpoint import save_checkpoint
from hyperseg_core.commands.labelled_data import check_classes
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.errors import ConfigError

_logger = logging.getLogger(__name__)


def calibrate_command(
    checkpoint: str, out: Path, *, data: str, root: str = '.', split: str = 'val'
) -> None:
    """Write a copy of a checkpoint whose confidence is as often right as it says.

    One temperature is fitted; classes and speed stay as they are.

    Args:
        checkpoint: File or name of a shipped checkpoint.
        out: Where to.
        data: camvid, cityscapes, voc, folder or drive, or the name of a shipped description.
        root: The data set's folder; for folder, its YAML.
        split: Split to fit on: images that the network was not trained on.
    """
    if split == 'test':
        msg = "`--split test` is for scores alone; calibrate on 'val' or images of your own."
        raise ConfigError(msg)
    loaded = load_checkpoint(checkpoint)
    source = open_data(SourceConfig(kind=data, split=split, root=root))
    check_classes(checkpoint, loaded.label_set, data, source)
    from hyperseg_core.training.calibration import fit_temperature

    model = loaded.model
    temperature = round(fit_temperature(model, source), 4)
    model.config = dataclasses.replace(model.config, temperature=temperature)
    fitted = {'temperature': temperature, 'data': f'{data} {split}', 'images': len(source)}
    save_checkpoint(
        out, model, loaded.label_set, scores=loaded.scores,
        provenance={**loaded.provenance, 'calibration': fitted},
        half=any(array.dtype == np.float16 for array in loaded.tensors().values()),
    )  # fmt: skip
    _logger.info(
        'Wrote %s: temperature %.3f (before: %.3f), fitted on %d images of %s %s.',
        out, temperature, loaded.config.temperature, len(source), data, split,
    )  # fmt: skip
