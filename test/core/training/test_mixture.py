# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('torchvision')

from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from hyperseg_core import LabelSet
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import Pair
from hyperseg_core.labels import load_labels
from hyperseg_core.training.augmentation import AugmentConfig
from hyperseg_core.training.augmentation import RandomHue
from hyperseg_core.training.augmentation import build_augmentation
from hyperseg_core.training.augmentation import paste_classes
from hyperseg_core.training.mixture import MixtureDataset
from hyperseg_core.training.mixture import MixtureSampler
from hyperseg_core.training.mixture import shared_unions


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


def test_hue_turns_as_torchvisions_does() -> None:
    # Smooth colours: the hue of noise next to grey is no number.
    ramp = torch.linspace(0, 255, 64).round()
    image = torch.stack(
        [ramp[:, None].expand(64, 64), ramp.expand(64, 64), ramp.flip(0).expand(64, 64)]
    )
    picture, mask = tv_tensors.Image(image.byte()), tv_tensors.Mask(torch.zeros(64, 64))
    turn = RandomHue(0.5)
    torch.manual_seed(0)
    for _ in range(10):
        steps = turn.make_params([])['steps']
        found = turn.transform(picture, {'steps': steps})
        expected = functional.adjust_hue(picture, steps / 180)
        assert isinstance(found, tv_tensors.Image)
        assert (found.int() - expected.int()).abs().float().mean() < 4
    turned, same = turn(picture, mask)
    assert (turned != picture).any()
    assert same is mask


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
    data = _pairs(tmp_path, load_labels('camvid'))
    config = AugmentConfig(
        crop=(16, 16), scale=(0.5, 2.0), jitter=0.5, rare_classes=(1,), paste_probability=0.5
    )
    dataset = MixtureDataset([data], config, seed=3)
    first = dataset[41, 0, 1]
    torch.randn(5)
    second = dataset[41, 0, 1]
    assert torch.equal(first['image'], second['image'])
    assert not torch.equal(first['image'], dataset[42, 0, 1]['image'])


def _pairs(root: Path, label_set: LabelSet, height: int = 20) -> FilePairs:
    rng = np.random.default_rng(0)
    pairs = []
    for index in range(2):
        pair = Pair(root / f'{index}.jpg', root / f'{index}.png')
        image = rng.integers(0, 256, (height, 30, 3), dtype=np.uint8)
        assert cv2.imwrite(str(pair.image), image)
        ids = rng.integers(0, len(label_set) + len(label_set.unions), (height, 30), np.uint8)
        assert cv2.imwrite(str(pair.labels), ids)
        pairs.append(pair)
    return FilePairs(pairs, label_set)


def _labels(*unions: tuple[str, str]) -> LabelSet:
    classes = [{'name': name, 'colour': [0, 0, index]} for index, name in enumerate('abc')]
    listed = [{'classes': list(union), 'source': 3 + i} for i, union in enumerate(unions)]
    return LabelSet.from_dict({'name': 'x', 'classes': classes, 'unions': listed})


def test_unions_of_sources_share_their_ids(tmp_path: Path) -> None:
    first, second = _labels(('a', 'b')), _labels(('b', 'c'), ('b', 'a'))
    tables, members = shared_unions([first, second])
    assert members.tolist() == [[True, True, False], [False, True, True]]
    assert [table[3:5].tolist() for table in tables] == [[3, 4], [4, 3]]
    assert all(table[[0, 1, 2, 255]].tolist() == [0, 1, 2, 255] for table in tables)
    dataset = MixtureDataset(
        [_pairs(tmp_path, second)], AugmentConfig(crop=(20, 30), flip=False), seed=0
    )
    raw = cv2.imread(str(tmp_path / '0.png'), cv2.IMREAD_UNCHANGED)
    tables, _ = shared_unions([second])
    assert np.array_equal(dataset[0, 0, 0]['labels'].numpy(), tables[0][raw])


def test_each_source_is_brought_to_its_own_size(tmp_path: Path) -> None:
    label_set = _labels()
    config = AugmentConfig(base_size=(20, 30), crop=(40, 60), flip=False)
    sources = [_pairs(tmp_path, label_set)] * 2
    dataset = MixtureDataset(sources, config, seed=0, base_sizes=[None, (40, 60)])
    padding = [(dataset[0, source, 0]['labels'] == 255).float().mean().item() for source in (0, 1)]
    assert padding == [0.75, 0.0]
