# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO: `annotations/instances_default.json` beside `images/`, one annotation for each class.

The fields are those of https://cocodataset.org/#format-data. An annotation is all of a class in an
image: `iscrowd` 1, and as segmentation the runs of its mask, down the columns. Read are also
compressed runs and polygons, which tools make of what was drawn anew.
"""

from collections import defaultdict
from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any

import numpy as np

from hyperseg_core.annotation.formats import Frame
from hyperseg_core.annotation.formats import Ids
from hyperseg_core.annotation.formats import check_file_size
from hyperseg_core.annotation.formats import class_id
from hyperseg_core.annotation.formats import empty_ids
from hyperseg_core.annotation.formats import write_labels
from hyperseg_core.annotation.run_lengths import Mask
from hyperseg_core.annotation.run_lengths import mask_of
from hyperseg_core.annotation.run_lengths import polygon_mask
from hyperseg_core.annotation.run_lengths import runs_of
from hyperseg_core.annotation.run_lengths import runs_of_text
from hyperseg_core.errors import InputError
from hyperseg_core.files.folders import path_inside
from hyperseg_core.labels import LabelSet

ANNOTATIONS = Path('annotations', 'instances_default.json')
IMAGES = 'images'
_LARGEST = 1e6


class CocoWriter:
    """Writes images and annotations; those of a frame are not kept in memory."""

    def __init__(self, folder: Path, label_set: LabelSet) -> None:
        """Begin in an empty folder."""
        self._folder, self._label_set = folder, label_set
        write_labels(folder, label_set)
        (folder / IMAGES).mkdir()
        (folder / ANNOTATIONS).parent.mkdir()
        self._images: list[dict[str, Any]] = []
        self._num_annotations = 0
        self._part = folder / ANNOTATIONS.with_suffix('.part')
        self._file = self._part.open('w', encoding='utf-8')

    def add(self, frame: Frame) -> str:
        """Write an image and its classes' runs."""
        name = f'{frame.name}{frame.ending}'
        (self._folder / IMAGES / name).write_bytes(frame.image)
        height, width = frame.ids.shape
        number = len(self._images) + 1
        self._images.append({'id': number, 'file_name': name, 'height': height, 'width': width})
        for index in np.unique(frame.ids[frame.ids < len(self._label_set)]).tolist():
            self._num_annotations += 1
            annotation = {
                'id': self._num_annotations, 'image_id': number, 'category_id': index + 1,
                **_described(frame.ids == index),
            }  # fmt: skip
            separator = ',\n' if self._num_annotations > 1 else ''
            self._file.write(separator + json.dumps(annotation, separators=(',', ':')))
        return f'{IMAGES}/{name}'

    def finish(self) -> None:
        """Put the file together."""
        self._file.close()
        categories = [
            {'id': index + 1, 'name': item.name, 'supercategory': '', 'color': list(item.colour)}
            for index, item in enumerate(self._label_set.classes)
        ]
        with (self._folder / ANNOTATIONS).open('w', encoding='utf-8') as file:
            head = {'info': {}, 'licenses': [], 'categories': categories, 'images': self._images}
            file.write(json.dumps(head)[:-1] + ', "annotations": [\n')
            with self._part.open(encoding='utf-8') as part:
                for line in part:
                    file.write(line)
            file.write('\n]}\n')
        self._part.unlink()


def _described(mask: Mask) -> dict[str, Any]:
    """Return an annotation's fields for a mask (H, W)."""
    lines, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    top, left = int(lines[0]), int(columns[0])
    box = [left, top, int(columns[-1]) - left + 1, int(lines[-1]) - top + 1]
    runs = runs_of(mask.ravel(order='F'))
    return {
        'iscrowd': 1, 'area': int(mask.sum()), 'bbox': box,
        'segmentation': {'counts': runs, 'size': list(mask.shape)},
    }  # fmt: skip


class CocoReader:
    """Reads annotations of images in a folder."""

    def __init__(self, path: Path, images: Path, label_set: LabelSet) -> None:
        """Read the file.

        Raises:
            InputError: If it is no COCO file, or has a label that is unknown.
            FileNotFoundError: If it is not there.
        """
        self.problems: list[str] = []
        self._path, self._folder = path, images
        data = _read(path)
        self._images = data['images']
        self._ids = {
            _number(path, item, 'id'): class_id(label_set, item.get('name'), f'{path}')
            for item in data['categories']
        }
        self._annotations: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for item in data['annotations']:
            self._annotations[_number(path, item, 'image_id')].append(item)
        known = {_number(path, item, 'id') for item in self._images}
        strangers = sorted(self._annotations.keys() - known)
        if len(known) != len(self._images) or strangers:
            what = f'annotations of images {strangers[:5]}' if strangers else 'ids of images twice'
            msg = f'{path} has {what}; every image needs an id of its own in `images`.'
            raise InputError(msg)

    def __iter__(self) -> Iterator[tuple[Path, str, Ids]]:
        """Give the images; what cannot be read is a problem."""
        for item in self._images:
            name = item.get('file_name')
            try:
                if not isinstance(name, str):
                    msg = f'an image has the file_name {name!r:.80}, expected text'
                    raise InputError(msg)
                image = path_inside(self._folder, name)
                ids = empty_ids(image, (item.get('height'), item.get('width')))
                for annotation in self._annotations[item['id']]:
                    category = annotation.get('category_id')
                    if type(category) is not int or category not in self._ids:
                        msg = f'an annotation has the category {category!r:.80}, which is none'
                        raise InputError(msg)
                    ids[_mask(annotation.get('segmentation'), *ids.shape)] = self._ids[category]
            except InputError as error:
                self.problems.append(f'{self._path}, image {name!r:.200}: {error}')
                continue
            yield image, name, ids


def _read(path: Path) -> dict[str, Any]:
    check_file_size(path)
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as err:
        msg = f'{path} is no JSON: {err!s:.200}.'
        raise InputError(msg) from err
    keys = ('images', 'categories', 'annotations')
    for key in keys:
        items = data.get(key) if isinstance(data, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            msg = f'{path} is no COCO file: it needs the lists {", ".join(keys)}.'
            raise InputError(msg)
    return dict(data)


def _number(path: Path, item: dict[str, Any], key: str) -> int:
    value = item.get(key)
    if type(value) is not int:
        msg = f'{path}: {key!r} is {value!r:.80}, expected an integer.'
        raise InputError(msg)
    return value


def _mask(segmentation: object, height: int, width: int) -> Mask:
    """Return the mask (H, W) of runs or polygons.

    Raises:
        InputError: If they are neither, or of another size.
    """
    if isinstance(segmentation, dict):
        counts, size = segmentation.get('counts'), segmentation.get('size')
        if size != [height, width]:
            msg = f'a mask has the size {size!r:.80}, but the image is {[height, width]}'
            raise InputError(msg)
        if isinstance(counts, str):
            counts = runs_of_text(counts)
        if isinstance(counts, list):
            return mask_of(counts, height * width).reshape((height, width), order='F')
    if isinstance(segmentation, list) and segmentation:
        polygons = [_polygon(item, height, width) for item in segmentation]
        return np.logical_or.reduce(polygons)
    msg = f'a segmentation is {segmentation!r:.80}, expected runs (`counts`, `size`) or polygons'
    raise InputError(msg)


def _polygon(flat: object, height: int, width: int) -> Mask:
    """Return the mask of a polygon [x0, y0, x1, y1, ...]."""
    is_flat = isinstance(flat, list) and len(flat) >= 6 and len(flat) % 2 == 0
    if not is_flat or not all(_is_place(value) for value in flat):  # type: ignore[attr-defined]
        msg = f'a polygon is {flat!r:.80}, expected [x0, y0, x1, y1, x2, y2, ...]'
        raise InputError(msg)
    return polygon_mask(np.asarray(flat, np.float64).reshape(-1, 2), height, width)


def _is_place(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= _LARGEST  # type: ignore[arg-type]
