# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of docs/training.md, on rendered streets."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('pytorch_lightning')

from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.drive import DriveScene
from hyperseg_core.resources import resource

DATA = """
labels: camvid
splits:
  train: {images: 'train/images/*.png', labels: 'train/ids/{stem}.png'}
  val:   {images: 'val/images/*.png',   labels: 'val/ids/{stem}.png'}
"""


def _write_data(root: Path) -> Path:
    for split, seeds in (('train', range(4)), ('val', range(9, 11))):
        for kind in ('images', 'ids'):
            (root / split / kind).mkdir(parents=True)
        for seed in seeds:
            frame = DriveScene(seed, height=96, width=128).frame(1.0)
            image = np.ascontiguousarray(frame.image[..., ::-1])
            assert cv2.imwrite(str(root / split / 'images' / f'{seed}.png'), image)
            assert cv2.imwrite(str(root / split / 'ids' / f'{seed}.png'), frame.labels)
    (root / 'data.yaml').write_text(DATA)
    return root / 'data.yaml'


@pytest.mark.slow
def test_training_on_ones_own_data_from_files_to_scores(tmp_path: Path) -> None:
    data, out = _write_data(tmp_path), tmp_path / 'run'
    sheet = str(tmp_path / 'sheet.png')
    check = ['check-data', 'folder', '--root', str(data), '--split', 'train', '--sheet', sheet]
    assert run(check, create_app()) == 0
    sources = {
        'train': [{'kind': 'folder', 'split': 'train', 'root': str(data)}],
        'val': {'kind': 'folder', 'split': 'val', 'root': str(data)},
    }
    recipe = resource('config', 'train', 'default.yaml')
    train = [
        'train', '--config', str(recipe), '--output', str(out), '--data', json.dumps(sources),
        '--model.pretrained_backbone', 'null', '--augment.crop', '[64, 64]',
        '--augment.base_size', '[96, 128]', '--trainer.epochs', '1',
        '--trainer.images_per_epoch', '4', '--trainer.batch_size', '2',
        '--trainer.num_workers', '0',
    ]  # fmt: skip
    assert run(train, create_app()) == 0
    assert (out / 'best.ckpt').is_file()
    assert 'epochs: 1' in (out / 'config.yaml').read_text()
    evaluate = [
        'evaluate', '--checkpoint', str(out / 'last.safetensors'), '--data', 'folder',
        '--root', str(data), '--split', 'val', '--output', str(tmp_path / 'scores'),
    ]  # fmt: skip
    assert run([*evaluate, '--also-with-void'], create_app()) == 0
    scores = json.loads((tmp_path / 'scores' / 'scores.json').read_text())
    assert scores['images'] == 2
    assert scores['forward_passes_per_image'] == 1
    assert 0 <= scores['mean_iou'] <= 1
    for name in ('confusion.png', 'best.png', 'worst.png'):
        assert cv2.imread(str(tmp_path / 'scores' / name)) is not None


def test_unknown_key_on_the_command_line_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(resource('config', 'train', 'default.yaml'))
    assert run(['train', '--config', recipe, '--optimizer.lr', '1'], create_app()) == 2
    assert "unknown key 'optimizer.lr'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['--trainer.epochs'], 'keys of the recipe with values'),
        (['--seed.x', '1'], "'seed' of the recipe has no keys"),
        (['--trainer.epochs', '['], 'is no value'),
        (['--loss.class_weights', '[1, 2]'], 'loss.class_weights has 2 entries'),
        (['--augment.rare_classes', '[11]'], 'names id 11, but label set'),
        (['--trainer.images_per_epoch', '1'], 'trainer.batch_size is'),
        (['--augment.base_size', '[96, 256]'], 'base_size 96 x 256 px is 2.67:1'),
    ],
)
def test_recipes_that_do_not_fit_the_data_are_refused_at_once(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {'train': [{'kind': 'folder', 'root': str(_write_data(tmp_path))}], 'val': None}
    recipe = str(resource('config', 'train', 'default.yaml'))
    train = ['train', '--config', recipe, '--output', str(tmp_path / 'run')]
    train += ['--data', json.dumps(sources), *words]
    assert run(train, create_app()) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / 'run' / 'last.ckpt').exists()


def test_recipe_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / 'config.yaml'
    mine.write_bytes(resource('config', 'train', 'default.yaml').read_bytes())
    before = mine.read_bytes()
    words = ['train', '--config', str(mine), '--output', str(tmp_path)]
    assert run(words, create_app()) == 2
    assert 'would be written over' in capsys.readouterr().err
    assert mine.read_bytes() == before
