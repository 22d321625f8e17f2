# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in an annotation file: a data set of plain ids, or an error of ours."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from hyperseg_core import HyperSegError
from hyperseg_core import InputError
from hyperseg_core import load_labels
from hyperseg_core.annotation.coco_file import ANNOTATIONS
from hyperseg_core.annotation.coco_file import CocoReader
from hyperseg_core.annotation.coco_file import CocoWriter
from hyperseg_core.annotation.cvat_file import CvatReader
from hyperseg_core.annotation.cvat_file import CvatWriter
from hyperseg_core.annotation.formats import Frame
from hyperseg_core.files.folders import path_inside

LABELS = load_labels('camvid')
KINDS = {
    'coco': (CocoWriter, CocoReader, str(ANNOTATIONS)),
    'cvat': (CvatWriter, CvatReader, 'annotations.xml'),
}
ODD = ['', 'x', '-1', '1e999', 'nan', '99999999999999999999', 'null', '[]', '{}', '"', '&a;', '\0']
UNUSED = {
    'annotations.id', 'annotations.area', 'annotations.bbox', 'annotations.iscrowd',
    'categories.supercategory', 'categories.color',
}  # fmt: skip


def _exported(folder: Path, kind: str) -> Path:
    folder.mkdir()
    writer = KINDS[kind][0](folder, LABELS)
    for index in range(2):
        ids = np.random.default_rng(index).integers(0, 12, (5, 7)).astype(np.uint8)
        image = cv2.imencode('.png', np.full((5, 7, 3), index, np.uint8))[1].tobytes()
        writer.add(Frame('bag', f'frame{index}', image, '.png', ids))
    writer.finish()
    return folder / KINDS[kind][2]


def _damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes, cut a piece out, or put something odd in the place of a word."""
    start = int(rng.integers(len(data)))
    way = int(rng.integers(3))
    if way == 0:
        return data[:start] + bytes([int(rng.integers(256))]) + data[start + 1 :]
    if way == 1:
        return data[:start] + data[start + int(rng.integers(1, 40)) :]
    words = data.split(b'"')
    words[int(rng.integers(len(words)))] = ODD[int(rng.integers(len(ODD)))].encode()
    return b'"'.join(words)


@pytest.mark.parametrize('kind', KINDS)
def test_damage_ends_in_ids_or_an_error_of_ours(kind: str, tmp_path: Path) -> None:
    path = _exported(tmp_path / 'out', kind)
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    num_refused = num_read = 0
    for _ in range(400):
        path.write_bytes(_damaged(whole, rng))
        try:
            for _, _, ids in KINDS[kind][1](path, tmp_path / 'out' / 'images', LABELS):
                assert ids.shape == (5, 7)
                assert set(np.unique(ids)) <= {*range(11), 255}
                num_read += 1
        except HyperSegError:
            num_refused += 1
    assert num_refused > 50
    assert num_read > 50


@pytest.mark.parametrize(
    'value', [None, True, 1.5, 'x', [], {}, [[]], {'counts': [1], 'size': None}, 10**30, '\ud800']
)
def test_values_of_other_types_are_told(value: object, tmp_path: Path) -> None:
    path = _exported(tmp_path / 'out', 'coco')
    whole = json.loads(path.read_text())
    for part in ('images', 'annotations', 'categories'):
        for key in whole[part][0]:
            data = json.loads(path.read_text())
            data[part][0][key] = value
            changed = path.with_name('changed.json')
            changed.write_text(json.dumps(data))
            try:
                reader = CocoReader(changed, tmp_path / 'out' / 'images', LABELS)
                read = list(reader)
            except HyperSegError:
                continue
            is_used = f'{part}.{key}' not in UNUSED
            assert len(read) + len(reader.problems) == 2
            assert bool(reader.problems) == is_used, (part, key)


@pytest.mark.parametrize(
    'name', ['', '.', '/etc/passwd', '../x', 'a/../../x', 'x' * 5000, '\ud800', '\0']
)
def test_names_that_are_no_files_inside_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        path_inside(tmp_path, name)
