# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import load_labels
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.datasets.cityscapes import submission_ids
from hyperseg_core.data.datasets.cityscapes import submission_name
from hyperseg_core.data.pairs import read_ids

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
IDS = np.random.default_rng(1).integers(0, 12, (20, 30), dtype=np.uint8)


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def _camvid_ids(root: Path) -> None:
    for split in ('train', 'val', 'test'):
        for index in range(2):
            _write(root / split / f'{index}.png', IMAGE)
            _write(root / f'{split}annot' / f'{index}.png', IDS)


def _camvid_colours(root: Path) -> None:
    colours = load_labels('camvid').palette()[IDS].copy()
    colours[IDS == 11] = (64, 192, 0)  # a colour of the 32 classes that is none of the 11
    _write(root / '701_StillsRaw_full' / 'a.png', IMAGE)
    _write(root / 'LabeledApproved_full' / 'a_L.png', colours)
    (root / 'train.txt').write_text('701_StillsRaw_full/a.png\n')


@pytest.mark.parametrize('layout', [_camvid_ids, _camvid_colours])
def test_camvid_reads_both_layouts(layout: Callable[[Path], None], tmp_path: Path) -> None:
    layout(tmp_path)
    data = open_data(SourceConfig(kind='camvid', split='train', root=str(tmp_path)))
    image, labels = data.load(0)
    assert np.array_equal(image, IMAGE)
    assert np.array_equal(labels, np.where(IDS == 11, 255, IDS))


def test_camvid_joins_splits_and_never_mixes_test_in(tmp_path: Path) -> None:
    _camvid_ids(tmp_path)
    data = open_data(SourceConfig(kind='camvid', split='train+val', root=str(tmp_path)))
    assert len(data) == 4
    assert all('test' not in data.name(i).split(' with ')[0].split('/')[-2] for i in range(4))


def test_missing_label_names_both_files(tmp_path: Path) -> None:
    _camvid_ids(tmp_path)
    (tmp_path / 'trainannot' / '1.png').unlink()
    with pytest.raises(InputError, match=r'train/1\.png and its labels .*trainannot/1\.png'):
        open_data(SourceConfig(kind='camvid', root=str(tmp_path)))


def test_missized_label_names_both_files(tmp_path: Path) -> None:
    _camvid_ids(tmp_path)
    _write(tmp_path / 'trainannot' / '0.png', IDS[:10])
    data = open_data(SourceConfig(kind='camvid', root=str(tmp_path)))
    with pytest.raises(InputError, match=r'0\.png is 20 x 30 px but its labels .* 10 x 30 px'):
        data.load(0)


def test_cityscapes_maps_34_ids_to_19(tmp_path: Path) -> None:
    ids = np.array([[7, 33, 0, 29]], np.uint8)
    _write(tmp_path / 'leftImg8bit/val/ulm/ulm_0_leftImg8bit.png', IMAGE[:1, :4])
    _write(tmp_path / 'gtFine/val/ulm/ulm_0_gtFine_labelIds.png', ids)
    data = open_data(SourceConfig(kind='cityscapes', split='val', root=str(tmp_path)))
    assert data.load(0)[1].tolist() == [[0, 18, 255, 255]]
    ours = np.array([[0, 18, 255]], np.uint8)
    assert submission_ids(ours, data.labels).tolist() == [[7, 33, 0]]
    assert submission_name(Path('ulm_0_leftImg8bit.png')) == 'ulm_0_pred_labelIds.png'


def test_voc_reads_palette_images_and_train_aug(tmp_path: Path) -> None:
    (tmp_path / 'ImageSets/Segmentation').mkdir(parents=True)
    (tmp_path / 'ImageSets/Segmentation/train_aug.txt').write_text(
        '/JPEGImages/x.jpg /SegmentationClassAug/x.png\n'
    )
    _write(tmp_path / 'JPEGImages/x.jpg', IMAGE)
    (tmp_path / 'SegmentationClassAug').mkdir()
    picture = PillowImage.fromarray(np.full((20, 30), 20, np.uint8)).convert('P')
    picture.putdata([20] * 599 + [255])
    picture.save(tmp_path / 'SegmentationClassAug/x.png')
    data = open_data(SourceConfig(kind='voc', split='train_aug', root=str(tmp_path)))
    labels = data.load(0)[1]
    assert labels[0, 0] == 20
    assert labels[-1, -1] == 255


FOLDER = """
labels: camvid
splits:
  train: {images: 'pics/*.png', labels: 'ids/{stem}.png'}
"""


def test_folder_needs_one_yaml_and_no_code(tmp_path: Path) -> None:
    _write(tmp_path / 'pics' / 'a.png', IMAGE)
    _write(tmp_path / 'ids' / 'a.png', IDS)
    (tmp_path / 'data.yaml').write_text(FOLDER)
    data = open_data(SourceConfig(kind='folder', root=str(tmp_path / 'data.yaml')))
    assert np.array_equal(data.load(0)[1], np.where(IDS == 11, 255, IDS))


@pytest.mark.parametrize(
    ('text', 'error', 'match'),
    [
        (FOLDER.replace("'pics/*.png'", "'../*.png'"), ConfigError, 'leads out of the folder'),
        (FOLDER.replace("'pics/*.png'", "'/etc/*'"), ConfigError, 'leads out of the folder'),
        (FOLDER.replace('pics', 'none'), InputError, r"no image matches 'none/\*\.png'"),
        (FOLDER + 'extra: 1', ConfigError, 'needs .labels. and .splits.'),
        (FOLDER.replace('{stem}', '{name}'), ConfigError, r'it must hold \{stem\}'),
        (FOLDER.replace('{stem}', '{}'), ConfigError, r'it must hold \{stem\}'),
        (FOLDER.replace('{stem}', '{stem:>2000000000}'), ConfigError, r'it must hold \{stem\}'),
        (FOLDER.replace('camvid', '../x.yaml'), ConfigError, 'leads out of the folder'),
        ('labels: camvid\nsplits: [train]', ConfigError, '.splits. must be a mapping'),
        (FOLDER.replace('train:', 'val:'), InputError, "no split 'train'; known: val"),
    ],
)
def test_wrong_folder_yaml(text: str, error: type[Exception], match: str, tmp_path: Path) -> None:
    (tmp_path / 'data.yaml').write_text(text)
    with pytest.raises(error, match=match):
        open_data(SourceConfig(kind='folder', root=str(tmp_path / 'data.yaml')))


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match='camvid, cityscapes, drive, folder, streets, voc'):
        open_data(SourceConfig(kind='kitti'))


def test_check_data_finds_what_would_break_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _camvid_ids(tmp_path)
    arguments = [
        'check-data',
        'camvid',
        '--root',
        str(tmp_path),
        '--sheet',
        str(tmp_path / 's.png'),
    ]
    assert run(arguments, create_app()) == 0
    assert cv2.imread(str(tmp_path / 's.png')) is not None
    _write(tmp_path / 'trainannot' / '0.png', IDS[:10])
    assert run(arguments, create_app()) == 1
    assert '10 x 30' in capsys.readouterr().out.replace('\n', ' ')


COARSE = """
name: coarse
classes:
  - {name: ground, colour: [1, 1, 1], source: [3, 7]}
  - {name: thing, colour: [2, 2, 2], source: [5, [9, 9, 9]]}
  - {name: sky, colour: [3, 3, 3], source: 0}
unions:
  - {classes: [ground, thing], source: [8]}
"""


def _folder(root: Path, ids: np.ndarray, labels: str = 'coarse.yaml', more: str = '') -> Path:
    _write(root / 'pics' / 'a.png', np.zeros((*ids.shape[:2], 3), np.uint8))
    _write(root / 'ids' / 'a.png', ids)
    (root / 'coarse.yaml').write_text(COARSE)
    (root / 'data.yaml').write_text(FOLDER.replace('labels: camvid', f'labels: {labels}') + more)
    return root / 'data.yaml'


def test_many_ids_are_one_class_and_a_union_has_an_id_of_its_own(tmp_path: Path) -> None:
    path = _folder(tmp_path, np.array([[0, 3, 7, 5, 8, 9]], np.uint8))
    data = open_data(SourceConfig(kind='folder', root=str(path)))
    assert data.load(0)[1].tolist() == [[2, 0, 0, 1, 3, 255]]
    assert data.labels.union_members().tolist() == [[True, True, False]]


def test_many_colours_are_one_class(tmp_path: Path) -> None:
    colours = np.array([[[1, 1, 1], [2, 2, 2], [9, 9, 9], [4, 4, 4]]], np.uint8)
    path = _folder(tmp_path, colours, more='labels_are_colours: true\n')
    data = open_data(SourceConfig(kind='folder', root=str(path)))
    assert data.load(0)[1].tolist() == [[0, 1, 1, 255]]


def test_squeezed_pictures_are_stretched_with_their_labels(tmp_path: Path) -> None:
    ids = np.repeat(np.array([[3], [5]], np.uint8), 4, 1).repeat(2, 0)
    path = _folder(tmp_path, ids, more='aspect: 2.0\n')
    image, labels = open_data(SourceConfig(kind='folder', root=str(path))).load(0)
    assert image.shape == (4, 8, 3)
    assert labels.tolist() == [[0] * 8] * 2 + [[1] * 8] * 2


@pytest.mark.parametrize('aspect', ['wide', '0', '[2, 1]', 'true'])
def test_aspects_that_are_none_are_refused(aspect: str, tmp_path: Path) -> None:
    path = _folder(tmp_path, IDS, more=f'aspect: {aspect}\n')
    with pytest.raises(ConfigError, match='expected width by height'):
        open_data(SourceConfig(kind='folder', root=str(path)))


def test_shipped_description_reads_small_cityscapes_as_camvid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array([[0, 1, 2, 3, 8, 9, 10, 11, 12, 16, 18, 255]], np.uint8).repeat(12, 0)
    _write(tmp_path / 'val' / '1.jpg', np.zeros((12, 12, 3), np.uint8))
    _write(tmp_path / 'valannot' / '1.png', ids)
    monkeypatch.setenv('STREETS_ROOT', str(tmp_path))
    data = open_data(SourceConfig(kind='streets', split='val', root='${STREETS_ROOT}'))
    assert data.labels.names == load_labels('camvid').names
    labels = data.load(0)[1]
    assert labels.shape == (12, 24)
    assert labels[0, ::2].tolist() == [3, 4, 1, 1, 5, 255, 0, 9, 10, 8, 10, 255]


def test_root_of_a_variable_that_is_not_set_is_one_clear_line() -> None:
    with pytest.raises(ConfigError, match=r'NO_SUCH_ROOT is not set: `export NO_SUCH_ROOT='):
        open_data(SourceConfig(kind='camvid', root='${NO_SUCH_ROOT}'))


PICTURES = {
    'one bit': lambda ids: PillowImage.fromarray(ids * 255).convert('1'),
    'sixteen bits': lambda ids: PillowImage.fromarray(ids.astype(np.uint16)),
    'grey as RGB': lambda ids: PillowImage.fromarray(np.repeat(ids[..., None], 3, 2)),
    'grey with alpha': lambda ids: PillowImage.fromarray(ids).convert('LA'),
}


@pytest.mark.parametrize('kind', list(PICTURES))
def test_ids_are_read_from_every_usual_picture(kind: str, tmp_path: Path) -> None:
    ids = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    PICTURES[kind](ids).save(tmp_path / 'ids.png')
    assert np.array_equal(read_ids(tmp_path / 'ids.png'), ids)


@pytest.mark.parametrize(
    ('pixels', 'told'),
    [
        (np.full((2, 3), 300, np.uint16), 'values from 300 to 300, but ids are 0 to 255'),
        (np.full((2, 3, 3), (1, 2, 3), np.uint8), 'labels_are_colours: true'),
    ],
)
def test_pictures_that_hold_no_ids_are_refused(
    pixels: np.ndarray, told: str, tmp_path: Path
) -> None:
    PillowImage.fromarray(pixels).save(tmp_path / 'ids.png')
    with pytest.raises(InputError, match=told):
        read_ids(tmp_path / 'ids.png')


@pytest.mark.parametrize(
    ('ids', 'more', 'told'),
    [
        ([[0, 255]], '', ''),
        ([[0, 3, 9]], '', '9 (33.33%)'),
        ([[0, 3, 9]], 'ignored: [9]\n', ''),
        ([[0, 100, 200]], '', 'Give each class its values as `source`'),
    ],
)
def test_check_data_reports_values_that_no_class_has(
    ids: list[list[int]], more: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _folder(tmp_path, np.array(ids, np.uint8), more=more)
    status = run(['check-data', 'folder', '--root', str(path)], create_app())
    assert status == (1 if told else 0)
    assert told in capsys.readouterr().out.replace('\n', ' ')


TWO = 'name: two\nclasses: [{name: back, colour: [0, 0, 0]}, {name: crack, colour: [1, 1, 1]}]'


@pytest.mark.parametrize(
    ('ids', 'told'),
    [
        ([[0, 255]], "If it is 'crack' there, give that class `source: 255`"),
        ([[1, 2]], 'Ids start at 1'),
        ([[0, 1, 255]], ''),
    ],
)
def test_check_data_knows_the_usual_mistakes(
    ids: list[list[int]], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _folder(tmp_path, np.array(ids, np.uint8), labels='two.yaml')
    (tmp_path / 'two.yaml').write_text(TWO)
    assert run(['check-data', 'folder', '--root', str(path)], create_app()) == (1 if told else 0)
    assert told in ' '.join(capsys.readouterr().out.split())


def test_check_data_sees_blended_colours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colours = np.array([[[1, 1, 1], [3, 3, 3], [1, 2, 1]]], np.uint8)
    path = _folder(tmp_path, colours, more='labels_are_colours: true\n')
    assert run(['check-data', 'folder', '--root', str(path)], create_app()) == 1
    told = ' '.join(capsys.readouterr().out.split())
    assert '(1, 2, 1) (33.33%)' in told
    assert 'antialiasing' in told


def test_half_a_picture_and_hidden_files_are_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _folder(tmp_path, IDS % 3, labels='camvid')
    (tmp_path / 'pics' / '._a.png').write_bytes(b'of macOS')
    assert run(['check-data', 'folder', '--root', str(path)], create_app()) == 0
    picture = tmp_path / 'pics' / 'a.png'
    noise = np.random.default_rng(0).integers(0, 255, (*IDS.shape, 3), np.uint8)
    _write(picture, noise)
    picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    assert run(['check-data', 'folder', '--root', str(path)], create_app()) == 1
    assert 'cut off' in capsys.readouterr().out


def test_label_set_through_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / 'data'
    path = _folder(folder, IDS % 3)
    (tmp_path / 'secret.yaml').write_text(COARSE)
    (folder / 'coarse.yaml').unlink()
    (folder / 'coarse.yaml').symlink_to(tmp_path / 'secret.yaml')
    with pytest.raises(ConfigError, match='a link that leads out'):
        open_data(SourceConfig(kind='folder', root=str(path)))
