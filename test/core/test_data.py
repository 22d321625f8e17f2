# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import load_labels
from hyperseg_core.cli import COMMANDS
from hyperseg_core.cli import run
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.datasets.cityscapes import submission_ids
from hyperseg_core.data.datasets.cityscapes import submission_name
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.training.augmentation import AugmentConfig
from hyperseg_core.training.augmentation import build_augmentation
from hyperseg_core.training.augmentation import paste_classes
from hyperseg_core.training.mixture import MixtureDataset
from hyperseg_core.training.mixture import MixtureSampler

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
    from PIL import Image

    (tmp_path / 'ImageSets/Segmentation').mkdir(parents=True)
    (tmp_path / 'ImageSets/Segmentation/train_aug.txt').write_text(
        '/JPEGImages/x.jpg /SegmentationClassAug/x.png\n'
    )
    _write(tmp_path / 'JPEGImages/x.jpg', IMAGE)
    (tmp_path / 'SegmentationClassAug').mkdir()
    picture = Image.fromarray(np.full((20, 30), 20, np.uint8)).convert('P')
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
        (FOLDER.replace('train:', 'val:'), InputError, "no split 'train'; known: val"),
    ],
)
def test_wrong_folder_yaml(text: str, error: type[Exception], match: str, tmp_path: Path) -> None:
    (tmp_path / 'data.yaml').write_text(text)
    with pytest.raises(error, match=match):
        open_data(SourceConfig(kind='folder', root=str(tmp_path / 'data.yaml')))


def test_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match='camvid, cityscapes, drive, folder, voc'):
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
    assert run(arguments, COMMANDS) == 0
    assert cv2.imread(str(tmp_path / 's.png')) is not None
    _write(tmp_path / 'trainannot' / '0.png', IDS[:10])
    assert run(arguments, COMMANDS) == 1
    assert '10 x 30' in capsys.readouterr().out.replace('\n', ' ')


def test_augmentation_moves_image_and_labels_together() -> None:
    ids = np.zeros((40, 60), np.uint8)
    ids[10:30, 20:40] = 5
    image = np.repeat((ids * 40)[..., None], 3, 2)
    config = AugmentConfig(
        base_size=(80, 120), scale=(0.5, 2.0), scale_probability=1.0, crop=(64, 64)
    )
    augment = build_augmentation(config)
    torch.manual_seed(0)
    for _ in range(20):
        picture, mask = augment(
            tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1)),
            tv_tensors.Mask(torch.from_numpy(ids)),
        )
        assert picture.shape == (3, 64, 64)
        known = mask != 255
        # Blurred edges apart, the picture is the labels' colour wherever it is not padding.
        wrong = ((picture[0].float() - mask.float() * 40).abs() > 90) & known
        assert wrong.float().mean() < 0.05
        assert set(mask.unique().tolist()) <= {0, 5, 255}


def test_rare_crops_contain_the_rare_class() -> None:
    ids = np.zeros((200, 300), np.uint8)
    ids[150:153, 250:253] = 9
    config = AugmentConfig(crop=(64, 64), rare_classes=(9, 7), rare_probability=1.0, flip=False)
    augment = build_augmentation(config)
    image = tv_tensors.Image(torch.zeros(3, 200, 300, dtype=torch.uint8))
    for _ in range(10):
        _, mask = augment(image, tv_tensors.Mask(torch.from_numpy(ids)))
        assert (mask == 9).any()


def test_pasted_things_bring_their_labels_and_nothing_else() -> None:
    image, labels = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    other_image, other_labels = np.full((4, 6, 3), 9, np.uint8), np.ones((4, 6), np.uint8)
    other_labels[1:3, 2:4] = 7
    pasted, pasted_labels = paste_classes(image, labels, other_image, other_labels, [7, 8])
    assert (pasted_labels == 7).sum() == 4
    assert np.array_equal(pasted[..., 0] == 9, pasted_labels == 7)
    assert not (pasted_labels == 1).any()
    small = paste_classes(image, labels, other_image[:2], other_labels[:2], [7])
    assert small[0] is image
    assert small[1] is labels


def test_processes_together_draw_what_one_process_draws() -> None:
    def draws(rank: int, world_size: int, epoch: int) -> list[tuple[int, int, int]]:
        sampler = MixtureSampler(
            [7, 3], [0.75, 0.25], images_per_epoch=16, seed=1, rank=rank, world_size=world_size
        )
        sampler.set_epoch(epoch)
        return list(sampler)

    for epoch in (0, 1, 5):
        alone = draws(0, 1, epoch)
        pairs = zip(draws(0, 2, epoch), draws(1, 2, epoch), strict=True)
        assert [draw for pair in pairs for draw in pair] == alone
        assert sum(source == 1 for _, source, _ in alone) == 4
    assert draws(0, 1, 0) != draws(0, 1, 1)


def test_a_draw_is_the_same_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    _camvid_ids(tmp_path)
    data = open_data(SourceConfig(kind='camvid', root=str(tmp_path)))
    assert isinstance(data, FilePairs)
    config = AugmentConfig(
        crop=(16, 16), scale=(0.5, 2.0), jitter=0.5, rare_classes=(1,), paste_probability=0.5
    )
    dataset = MixtureDataset([data], config, seed=3)
    first = dataset[41, 0, 1]
    torch.randn(5)
    second = dataset[41, 0, 1]
    assert torch.equal(first['image'], second['image'])
    assert not torch.equal(first['image'], dataset[42, 0, 1]['image'])
