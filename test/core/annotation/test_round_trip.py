# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ids go out in every format and come back as they were; what is damaged is told, not believed."""

import json
from pathlib import Path
import zipfile

import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import load_labels
from hyperseg_core.annotation.cityscapes_tree import CityscapesWriter
from hyperseg_core.annotation.coco_file import ANNOTATIONS
from hyperseg_core.annotation.coco_file import CocoWriter
from hyperseg_core.annotation.cvat_file import CvatWriter
from hyperseg_core.annotation.formats import Frame
from hyperseg_core.commands.import_labels import import_labels_command
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data

WRITERS = {'cityscapes': CityscapesWriter, 'coco': CocoWriter, 'cvat': CvatWriter}
SIZES = [(1, 1), (1, 7), (5, 1), (33, 47)]


def _picture(height: int, width: int) -> bytes:
    image = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8)
    return cv2.imencode('.png', image.reshape(height, width, 3))[1].tobytes()


def _ids(num_classes: int) -> list[NDArray[np.uint8]]:
    """Return ids of odd sizes: all classes and void, single pixels, scattered pieces."""
    rng = np.random.default_rng(0)
    values = np.append(np.arange(num_classes), 255).astype(np.uint8)
    maps = [rng.choice(values, size) for size in SIZES]
    blocks = np.full((40, 60), 255, np.uint8)
    blocks[3:9, 5:30] = blocks[20:30, 40:60] = 1
    blocks[0, 0] = blocks[39, 59] = num_classes - 1
    return [*maps, blocks, np.full((3, 4), 255, np.uint8)]


def _export(folder: Path, kind: str, label_set: str, maps: list[NDArray[np.uint8]]) -> Path:
    folder.mkdir()
    writer = WRITERS[kind](folder, load_labels(label_set))
    for index, ids in enumerate(maps):
        writer.add(Frame('bag', f'bag_cam_{index:019d}', _picture(*ids.shape), '.png', ids))
    writer.finish()
    return folder


def _load(description: Path) -> list[NDArray[np.uint8]]:
    data = open_data(SourceConfig(kind='folder', root=str(description)))
    return [data.load(index)[1] for index in range(len(data))]


@pytest.mark.parametrize('label_set', ['camvid', 'cityscapes', 'cityscapes-as-camvid', 'voc'])
@pytest.mark.parametrize('kind', WRITERS)
def test_ids_survive_the_round_trip(kind: str, label_set: str, tmp_path: Path) -> None:
    maps = _ids(len(load_labels(label_set)))
    exported = _export(tmp_path / 'out', kind, label_set, maps)
    assert import_labels_command(exported, tmp_path / 'back', format=kind) == 0
    for found, expected in zip(_load(tmp_path / 'back' / 'data.yaml'), maps, strict=True):
        np.testing.assert_array_equal(found, expected)
    images = sorted((tmp_path / 'back' / 'images').iterdir())
    assert [path.read_bytes() for path in images] == [_picture(*ids.shape) for ids in maps]


@pytest.mark.parametrize('kind', WRITERS)
def test_the_same_frames_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    folders = [_export(tmp_path / name, kind, 'camvid', _ids(11)) for name in 'ab']
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob('*.*')}
        for folder in folders
    ]
    assert contents[0] == contents[1]


def test_our_own_reader_of_cityscapes_reads_the_tree(tmp_path: Path) -> None:
    maps = _ids(19)
    exported = _export(tmp_path / 'out', 'cityscapes', 'cityscapes', maps)
    data = open_data(SourceConfig(kind='cityscapes', root=str(exported)))
    for index, ids in enumerate(maps):
        np.testing.assert_array_equal(data.load(index)[1], ids)
    (labels,) = exported.glob('gtFine/train/bag/*0000_gtFine_labelIds.png')
    plain = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(plain)) <= {0, *range(7, 34)}


def test_corrections_in_a_tree_come_back(tmp_path: Path) -> None:
    exported = _export(tmp_path / 'out', 'cityscapes', 'camvid', [np.zeros((4, 5), np.uint8)])
    (labels,) = exported.glob('gtFine/*/*/*_labelIds.png')
    corrected = np.array([[3, 3, 255, 10, 99]] * 4, np.uint8)
    cv2.imwrite(str(labels), corrected)
    assert import_labels_command(exported, tmp_path / 'back', format='cityscapes') == 1
    (found,) = _load(tmp_path / 'back' / 'data.yaml')
    np.testing.assert_array_equal(found[0], [3, 3, 255, 10, 255])


def _coco(tmp_path: Path, **changes: object) -> Path:
    """Export one picture of 6 x 8 px, and change its only annotation."""
    exported = _export(tmp_path / 'out', 'coco', 'camvid', [np.full((6, 8), 3, np.uint8)])
    data = json.loads((exported / ANNOTATIONS).read_text())
    data['annotations'][0] |= changes
    (exported / ANNOTATIONS).write_text(json.dumps(data))
    return exported


@pytest.mark.parametrize(
    'segmentation',
    [
        [[1, 2, 4, 2, 4, 5, 1, 5]],
        {'size': [6, 8], 'counts': [8, 3, 3, 3, 3, 3, 25]},
        {'size': [6, 8], 'counts': '833000f0'},  # of pycocotools
    ],
)
def test_what_was_drawn_anew_is_read_in_every_spelling(
    segmentation: object, tmp_path: Path
) -> None:
    exported = _coco(tmp_path, segmentation=segmentation)
    assert import_labels_command(exported, tmp_path / 'back', format='coco') == 0
    expected = np.full((6, 8), 255, np.uint8)
    expected[2:5, 1:4] = 3
    np.testing.assert_array_equal(_load(tmp_path / 'back' / 'data.yaml')[0], expected)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'segmentation': {'size': [6, 8], 'counts': [50]}}, 'add up to 48 px'),
        ({'segmentation': {'size': [8, 6], 'counts': [48]}}, r'size \[8, 6\]'),
        ({'segmentation': {'size': [6, 8], 'counts': 7}}, 'expected runs'),
        ({'segmentation': [[1, 2, 3]]}, 'polygon'),
        ({'segmentation': [[1, 2, 3, 4, 5, 1e300]]}, 'polygon'),
        ({'segmentation': None}, 'expected runs'),
        ({'category_id': 99}, 'category 99'),
        ({'image_id': 5}, r'images \[5\]'),
        ({'image_id': '1'}, "'image_id' is '1'"),
    ],
)
def test_damaged_coco_is_told(changes: dict[str, object], told: str, tmp_path: Path) -> None:
    exported = _coco(tmp_path, **changes)
    with pytest.raises(InputError, match=told):
        import_labels_command(exported, tmp_path / 'back', format='coco')
    assert not (tmp_path / 'back').exists()


def _cvat(tmp_path: Path, old: str, new: str, ids: NDArray[np.uint8] | None = None) -> Path:
    """Export a picture of 6 x 8 px, and put another text into its XML."""
    ids = np.full((6, 8), 3, np.uint8) if ids is None else ids
    exported = _export(tmp_path / 'out', 'cvat', 'camvid', [ids])
    path = exported / 'annotations.xml'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return exported


def test_shapes_of_cvat_lie_over_each_other_by_z_order(tmp_path: Path) -> None:
    shapes = (
        '<box label="car" xtl="0" ytl="0" xbr="4" ybr="6" z_order="2"></box>'
        '<polygon label="tree" points="2.00,0.00;8.00,0.00;8.00,6.00;2.00,6.00" z_order="1">'
        '</polygon></image>'
    )
    exported = _cvat(tmp_path, '</image>', shapes)
    assert import_labels_command(exported, tmp_path / 'back', format='cvat') == 0
    (found,) = _load(tmp_path / 'back' / 'data.yaml')
    np.testing.assert_array_equal(found, [[8] * 4 + [5] * 4] * 6)


def test_shapes_that_are_no_areas_are_left_out_and_told(tmp_path: Path) -> None:
    exported = _cvat(tmp_path, '</image>', '<points label="car" points="1,1"></points></image>')
    assert import_labels_command(exported, tmp_path / 'back', format='cvat') == 1
    assert (_load(tmp_path / 'back' / 'data.yaml')[0] == 3).all()


@pytest.mark.parametrize(
    ('old', 'new', 'told'),
    [
        ('<annotations>', '<!DOCTYPE a [<!ENTITY b "c">]><annotations>', 'DOCTYPE'),
        ('<annotations>', '<annotations><track id="0"></track>', 'for images 1.1'),
        ('</annotations>', '', 'no whole XML'),
        ('label="road"', 'label="lane"', "'lane'.*--label-set"),
        ('width="8"', 'width="80000"', 'give the images that were annotated'),
        ('left="0"', 'left="-1"', 'leads out of the image'),
        ('left="0"', 'left="1"', 'leads out of the image'),
        ('rle="0, 48"', 'rle="0, 4800000000000"', 'add up to 48 px'),
        ('rle="0, 48"', 'rle="a"', "rle is 'a'"),
        ('rle="0, 48"', f'rle="{"1," * 49}1"', 'more runs than pixels'),
        ('name="bag_cam', 'name="../bag_cam', 'leads out of'),
        ('name="bag_cam', 'name="/bag_cam', 'leads out of'),
        ('name="bag_cam', 'name="C:\\..\\..\\bag_cam', 'leads out of'),
        ('name="bag_cam', 'name="other', 'There is no image'),
        ('</image>', '<box label="car" xtl="nan" ytl="0" xbr="1" ybr="1"/></image>', "'nan'"),
        ('</image>', '<polygon label="car" points="1,1;2,2"/></image>', 'points of a polygon'),
    ],
)
def test_damaged_cvat_is_told(old: str, new: str, told: str, tmp_path: Path) -> None:
    exported = _cvat(tmp_path, old, new)
    with pytest.raises(InputError, match=told):
        import_labels_command(exported, tmp_path / 'back', format='cvat')
    assert not (tmp_path / 'back').exists()


def test_the_zip_that_cvat_exports_is_to_be_unpacked(tmp_path: Path) -> None:
    exported = _cvat(tmp_path, '', '')
    packed = tmp_path / 'job.zip'
    with zipfile.ZipFile(packed, 'w') as archive:
        archive.write(exported / 'annotations.xml', 'annotations.xml')
    with pytest.raises(InputError, match='It is a ZIP, as CVAT exports: unpack it'):
        import_labels_command(packed, tmp_path / 'back', format='cvat', exported=exported)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    exported = _cvat(tmp_path, 'name="bag_cam', 'name="link_cam')
    (image,) = (exported / 'images').iterdir()
    image.rename(tmp_path / 'elsewhere.png')
    (exported / 'images' / image.name.replace('bag_', 'link_')).symlink_to(
        tmp_path / 'elsewhere.png'
    )
    with pytest.raises(InputError, match='link that leads out'):
        import_labels_command(exported, tmp_path / 'back', format='cvat')


def test_images_and_labels_may_lie_with_what_was_exported(tmp_path: Path) -> None:
    ids = np.arange(48, dtype=np.uint8).reshape(6, 8) % 11
    exported = _export(tmp_path / 'out', 'cvat', 'camvid', [ids])
    alone = (exported / 'annotations.xml').rename(tmp_path / 'downloaded.xml')
    with pytest.raises(InputError, match='--exported'):
        import_labels_command(alone, tmp_path / 'back', format='cvat')
    command = import_labels_command
    assert command(alone, tmp_path / 'back', format='cvat', exported=exported) == 0
    np.testing.assert_array_equal(_load(tmp_path / 'back' / 'data.yaml')[0], ids)


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    exported = _export(tmp_path / 'out', 'coco', 'camvid', _ids(11))
    (tmp_path / 'back').mkdir()
    with pytest.raises(ConfigError, match='is there already'):
        import_labels_command(exported, tmp_path / 'back', format='coco')


def test_one_damaged_image_costs_itself_alone(tmp_path: Path) -> None:
    maps = _ids(11)
    exported = _export(tmp_path / 'out', 'coco', 'camvid', maps)
    first = min((exported / 'images').iterdir())
    first.write_bytes(first.read_bytes()[:-20])
    assert import_labels_command(exported, tmp_path / 'back', format='coco') == 1
    assert len(_load(tmp_path / 'back' / 'data.yaml')) == len(maps) - 1


def test_two_annotations_of_one_image_are_refused(tmp_path: Path) -> None:
    exported = _export(tmp_path / 'out', 'cvat', 'camvid', [np.full((6, 8), 3, np.uint8)])
    path = exported / 'annotations.xml'
    text = path.read_text()
    whole = text[text.index('<image') : text.index('</image>') + len('</image>')]
    path.write_text(text.replace('</annotations>', f'{whole}</annotations>'))
    with pytest.raises(InputError, match='would have one name'):
        import_labels_command(exported, tmp_path / 'back', format='cvat')
