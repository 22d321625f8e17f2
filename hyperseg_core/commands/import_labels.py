# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg import-labels`: what people corrected, as a data set that training reads."""

import logging
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hyperseg_core.annotation import coco_file
from hyperseg_core.annotation import cvat_file
from hyperseg_core.annotation.cityscapes_tree import CityscapesReader
from hyperseg_core.annotation.coco_file import CocoReader
from hyperseg_core.annotation.cvat_file import CvatReader
from hyperseg_core.annotation.folder_set import DESCRIPTION
from hyperseg_core.annotation.folder_set import write_folder_set
from hyperseg_core.annotation.formats import AnnotationReader
from hyperseg_core.annotation.formats import FormatName
from hyperseg_core.annotation.formats import find_labels
from hyperseg_core.errors import InputError
from hyperseg_core.errors import shortened
from hyperseg_core.files.folders import new_folder
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet

_logger = logging.getLogger(__name__)
_SHOWN = 20


def import_labels_command(
    corrected: Path,
    out: Path,
    *,
    format: FormatName,
    exported: Path | None = None,
    label_set: str | None = None,
    split: str = 'train',
) -> int:
    """Turn corrected labels into a folder data set; exit status 1 if some could not be read.

    Args:
        corrected: The folder that `bag export` wrote, corrected; or the tool's own export: its
            folder, annotations.xml of CVAT, or the JSON of COCO.
        out: Folder to write: images, ids, labels.yaml, and data.yaml for `train` and `evaluate`.
        format: cityscapes, coco or cvat.
        exported: The folder that `bag export` wrote, where `corrected` has no images or labels.
        label_set: Name or YAML of the label set; by default labels.yaml of what was exported.
        split: Name of the split.
    """
    if not corrected.exists():
        msg = f'There is no {corrected}.'
        raise FileNotFoundError(msg)
    home = exported or (corrected if corrected.is_dir() else corrected.parent)
    if not home.is_dir():
        msg = f'{home} is no folder; --exported names the one that `bag export` wrote.'
        raise InputError(msg)
    known = find_labels(label_set, home)
    reader = _reader(corrected, home, format, known)
    try:
        with new_folder(out) as folder:
            counts = write_folder_set(folder, reader, known, split)
            num_images = len(list((folder / 'ids').iterdir()))
    except InputError as error:
        told = [str(error), *reader.problems[:3]]
        raise InputError(' '.join(told)) from error
    for problem in reader.problems[:_SHOWN]:
        _logger.warning('%s', shortened(problem))
    if len(reader.problems) > _SHOWN:
        _logger.warning('and %d more problems.', len(reader.problems) - _SHOWN)
    table = Table('class', 'pixels')
    for name, count in zip(known.names, counts.tolist(), strict=False):
        table.add_row(Text(name), str(count))
    table.add_row('unlabelled', str(counts[IGNORE_ID]))
    Console().print(table)
    _logger.info('%d images with labels: %s.', num_images, out / DESCRIPTION)
    return 1 if reader.problems else 0


def _reader(corrected: Path, home: Path, format: FormatName, known: LabelSet) -> AnnotationReader:
    """Open what was corrected.

    Raises:
        InputError: If it is none of the format.
        FileNotFoundError: If a file is not there.
    """
    if format == 'cityscapes':
        return CityscapesReader(corrected, known)
    images = home / 'images'
    if not images.is_dir():
        msg = f'{home} has no folder images/; --exported names the folder that `bag export` wrote.'
        raise InputError(msg)
    if format == 'cvat':
        place = corrected / cvat_file.ANNOTATIONS if corrected.is_dir() else corrected
        return CvatReader(place, images, known)
    place = corrected / coco_file.ANNOTATIONS if corrected.is_dir() else corrected
    return CocoReader(place, images, known)
