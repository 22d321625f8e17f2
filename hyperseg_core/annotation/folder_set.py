# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people corrected as a data set of kind `folder`: images, PNGs of ids, labels, data.yaml."""

from collections.abc import Iterable
import dataclasses
from pathlib import Path
from pathlib import PurePosixPath
import shutil

import numpy as np
import yaml

from hyperseg_core.annotation.formats import LABELS_FILE
from hyperseg_core.annotation.formats import Ids
from hyperseg_core.annotation.formats import write_labels
from hyperseg_core.errors import InputError
from hyperseg_core.labels import LabelSet
from hyperseg_core.render import write_png

DESCRIPTION = 'data.yaml'


def write_folder_set(
    folder: Path, samples: Iterable[tuple[Path, str, Ids]], label_set: LabelSet, split: str
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Write a data set into an empty folder.

    Args:
        folder: Where.
        samples: Image files, their names among the others, and ids (H, W).
        label_set: What the ids mean.
        split: Name of the one split.

    Returns:
        The number of pixels of each id, (256,).

    Raises:
        InputError: If there is no sample, or two have one name.
    """
    # Ids are ours from here on, whatever they are in the files that they come from.
    classes = tuple(dataclasses.replace(item, source=None) for item in label_set.classes)
    write_labels(folder, dataclasses.replace(label_set, classes=classes, unions=()))
    counts = np.zeros(256, np.int64)
    taken: dict[str, str] = {}
    for kind in ('images', 'ids'):
        (folder / kind).mkdir()
    for image, name, ids in samples:
        flat = PurePosixPath('_'.join(PurePosixPath(name.replace('\\', '/')).parts))
        if flat.stem.lower() in taken:
            first = taken[flat.stem.lower()]
            msg = f'The images {first!r:.200} and {name!r:.200} would have one name.'
            raise InputError(msg)
        taken[flat.stem.lower()] = name
        shutil.copyfile(image, folder / 'images' / flat.name)
        write_png(folder / 'ids' / f'{flat.stem}.png', ids)
        counts += np.bincount(ids.ravel(), minlength=256)
    if not taken:
        msg = 'No image could be read.'
        raise InputError(msg)
    description = {
        'labels': LABELS_FILE,
        'splits': {split: {'images': 'images/*', 'labels': 'ids/{stem}.png'}},
    }
    text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    (folder / DESCRIPTION).write_text(text, encoding='utf-8')
    return counts
