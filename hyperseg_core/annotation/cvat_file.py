# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CVAT for images 1.1: `annotations.xml` beside `images/`, one mask for each class.

The elements are those of https://docs.cvat.ai/docs/other/xml_format. The runs of a mask go along
the lines of its box. Read are masks, and polygons and boxes that were drawn anew; of those that
overlap, the one with the larger `z_order` is on top, then the later one.
"""

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape
from xml.sax.saxutils import quoteattr

import numpy as np

from hyperseg_core.annotation.formats import Frame
from hyperseg_core.annotation.formats import Ids
from hyperseg_core.annotation.formats import check_file_size
from hyperseg_core.annotation.formats import class_id
from hyperseg_core.annotation.formats import empty_ids
from hyperseg_core.annotation.formats import write_labels
from hyperseg_core.annotation.run_lengths import mask_of
from hyperseg_core.annotation.run_lengths import polygon_mask
from hyperseg_core.annotation.run_lengths import runs_of
from hyperseg_core.errors import InputError
from hyperseg_core.files.folders import path_inside
from hyperseg_core.labels import LabelSet

ANNOTATIONS = 'annotations.xml'
IMAGES = 'images'
_LABELS = 'labels.json'
_CHUNK = 1 << 20
_ZIP = b'PK\x03\x04'
_SHAPES = frozenset({'mask', 'polygon', 'box'})
_OTHERS = frozenset({'polyline', 'points', 'ellipse', 'cuboid', 'skeleton', 'tag'})
_LARGEST = 1e6
_Image = tuple[dict[str, str], list[tuple[str, dict[str, str]]]]
"""An image's attributes, and its shapes with theirs."""


class CvatWriter:
    """Writes images and annotations; labels.json is for CVAT's form for labels (Raw)."""

    def __init__(self, folder: Path, label_set: LabelSet) -> None:
        """Begin in an empty folder."""
        self._folder, self._label_set = folder, label_set
        self._num_images = 0
        write_labels(folder, label_set)
        (folder / IMAGES).mkdir()
        labels = [
            {'name': item.name, 'color': _hex(item.colour), 'type': 'any', 'attributes': []}
            for item in label_set.classes
        ]
        (folder / _LABELS).write_text(json.dumps(labels, indent=1) + '\n', encoding='utf-8')
        self._file = (folder / ANNOTATIONS).open('w', encoding='utf-8')
        self._file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
        self._file.write('<version>1.1</version>\n<meta><task><labels>\n')
        for label in labels:
            self._file.write(
                f'<label><name>{escape(str(label["name"]))}</name><color>{label["color"]}</color>'
                f'<type>any</type><attributes></attributes></label>\n'
            )
        self._file.write('</labels></task></meta>\n')

    def add(self, frame: Frame) -> str:
        """Write an image and its classes' masks."""
        name = f'{frame.name}{frame.ending}'
        (self._folder / IMAGES / name).write_bytes(frame.image)
        height, width = frame.ids.shape
        self._file.write(
            f'<image id="{self._num_images}" name={quoteattr(name)} width="{width}" '
            f'height="{height}">\n'
        )
        self._num_images += 1
        for index in np.unique(frame.ids[frame.ids < len(self._label_set)]).tolist():
            mask = frame.ids == index
            lines, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            top, left = int(lines[0]), int(columns[0])
            inner = mask[top : int(lines[-1]) + 1, left : int(columns[-1]) + 1]
            runs = ', '.join(map(str, runs_of(inner.ravel())))
            self._file.write(
                f'<mask label={quoteattr(self._label_set.names[index])} source="auto" '
                f'occluded="0" rle="{runs}" left="{left}" top="{top}" width="{inner.shape[1]}" '
                f'height="{inner.shape[0]}" z_order="0"></mask>\n'
            )
        self._file.write('</image>\n')
        return f'{IMAGES}/{name}'

    def finish(self) -> None:
        """End the file."""
        self._file.write('</annotations>\n')
        self._file.close()


def _hex(colour: tuple[int, int, int]) -> str:
    return '#' + bytes(colour).hex()


class CvatReader:
    """Reads annotations of images in a folder, one image in memory at a time."""

    def __init__(self, path: Path, images: Path, label_set: LabelSet) -> None:
        """Check that the file is there.

        Raises:
            InputError: If it is too long.
            FileNotFoundError: If it is not there.
        """
        check_file_size(path)
        self.problems: list[str] = []
        self._path, self._folder, self._label_set = path, images, label_set

    def __iter__(self) -> Iterator[tuple[Path, str, Ids]]:
        """Give the images; what cannot be read is a problem.

        Raises:
            InputError: If the file is no CVAT XML, or has a label that is unknown.
        """
        for attributes, shapes in _images(self._path):
            name = attributes.get('name', '')
            # A wrong label set is no matter of one image.
            ids_of = [
                class_id(self._label_set, a.get('label'), f'{self._path}') for _, a in shapes
            ]
            try:
                image = path_inside(self._folder, name)
                told = _numbers(attributes, 'height', 'width')
                ids = empty_ids(image, (told[0], told[1]))
                order = [_numbers({'z_order': '0', **a}, 'z_order')[0] for _, a in shapes]
                for index in np.argsort(order, kind='stable').tolist():
                    self._draw(ids, shapes[index], ids_of[index], name)
            except InputError as error:
                self.problems.append(f'{self._path}, image {name!r:.200}: {error}')
                continue
            yield image, name, ids

    def _draw(self, ids: Ids, shape: tuple[str, dict[str, str]], index: int, name: str) -> None:
        """Give the pixels of a shape their class.

        Raises:
            InputError: If the shape is damaged or leads out of the image.
        """
        (height, width), (kind, attributes) = ids.shape, shape
        if kind == 'mask':
            left, top, columns, lines = _numbers(attributes, 'left', 'top', 'width', 'height')
            fits = 0 <= left and 0 <= top and columns > 0 and lines > 0
            if not fits or left + columns > width or top + lines > height:
                msg = f'a mask of {lines} x {columns} px at {left}, {top} leads out of the image'
                raise InputError(msg)
            text = attributes.get('rle', '')
            if text.count(',') > lines * columns:  # before a list many times its size is made
                msg = f'a mask of {lines} x {columns} px has more runs than pixels'
                raise InputError(msg)
            runs = _integers(text, 'rle')
            mask = mask_of(runs, lines * columns).reshape(lines, columns)
            ids[top : top + lines, left : left + columns][mask] = index
        elif kind == 'polygon':
            ids[polygon_mask(_points(attributes.get('points', '')), height, width)] = index
        elif kind == 'box':
            if _place(attributes.get('rotation', '0')):
                msg = 'a box is rotated, which is not read; draw it as a polygon'
                raise InputError(msg)
            x0, y0, x1, y1 = (
                _place(attributes.get(key, '')) for key in ('xtl', 'ytl', 'xbr', 'ybr')
            )
            corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            ids[polygon_mask(corners, height, width)] = index
        else:
            self.problems.append(
                f'{self._path}, image {name!r:.200}: a {kind} is left out; masks, polygons and '
                f'boxes are read.'
            )


def _images(path: Path) -> Iterator[_Image]:
    """Parse the file piece by piece.

    Raises:
        InputError: If it is no XML of CVAT for images, or declares entities.
    """
    parser = expat.ParserCreate()
    done: list[_Image] = []
    state: dict[str, Any] = {'root': None, 'image': None}

    def refuse_doctype(*_: object) -> None:
        msg = f'{path} has a DOCTYPE, which CVAT writes none of; it is not read.'
        raise InputError(msg)

    def start(tag: str, attributes: dict[str, str]) -> None:
        if state['root'] is None:
            state['root'] = tag
            if tag != 'annotations':
                msg = (
                    f'{path} begins with <{tag[:40]}>; annotations.xml of CVAT has <annotations>.'
                )
                raise InputError(msg)
        if tag == 'track':
            msg = f'{path} holds tracks: export it from CVAT as "CVAT for images 1.1".'
            raise InputError(msg)
        if tag == 'image':
            state['image'] = (attributes, [])
        elif state['image'] is not None and tag in _SHAPES | _OTHERS:
            state['image'][1].append((tag, attributes))

    def end(tag: str) -> None:
        if tag == 'image' and state['image'] is not None:
            done.append(state['image'])
            state['image'] = None

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with path.open('rb') as file:
        while True:
            is_first = file.tell() == 0
            chunk = file.read(_CHUNK)
            try:
                parser.Parse(chunk, not chunk)
            except (expat.ExpatError, LookupError, ValueError) as err:
                if isinstance(err, InputError):
                    raise
                packed = is_first and chunk.startswith(_ZIP)
                hint = ' It is a ZIP, as CVAT exports: unpack it.' if packed else ''
                msg = f'{path} is no whole XML: {err!s:.200}.{hint}'
                raise InputError(msg) from err
            yield from done
            done.clear()
            if not chunk:
                return


def _numbers(attributes: dict[str, str], *names: str) -> list[int]:
    return [_integers(attributes.get(name, ''), name)[0] for name in names]


def _integers(text: str, what: str) -> list[int]:
    """Read whole numbers with commas between.

    Raises:
        InputError: If there are others.
    """
    try:
        return [int(word) for word in text.split(',')]
    except ValueError as err:
        msg = f'{what} is {text!r:.80}, expected whole numbers'
        raise InputError(msg) from err


def _points(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Read the corners of a polygon: `x,y;x,y;x,y`."""
    corners = [tuple(_place(word) for word in pair.split(',')) for pair in text.split(';')]
    if len(corners) < 3 or any(len(corner) != 2 for corner in corners):
        msg = f'the points of a polygon are {text!r:.80}, expected x,y;x,y;x,y'
        raise InputError(msg)
    return np.array(corners, np.float64)


def _place(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float('nan')
    if not abs(value) <= _LARGEST:
        msg = f'{text!r:.40} is no place in an image'
        raise InputError(msg)
    return value
