# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import torch

pytest.importorskip('pytorch_lightning')

from hyperseg_core import ConfigError
from hyperseg_core import load_checkpoint
from hyperseg_core import load_labels
from hyperseg_core.training.config import DistillConfig
from hyperseg_core.training.distillation import Teachers
from hyperseg_core.training.distillation import divergence
from hyperseg_core.training.distillation import teachers_of


def test_divergence_is_kullback_and_leiblers() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 6, 8, requires_grad=True)
    teacher = torch.randn(2, 5, 6, 8).softmax(1)
    found = divergence(logits, teacher, temperature=2.0, stride=1)
    student = (logits / 2).softmax(1)
    expected = 4 * (teacher * (teacher / student).log()).sum(1).mean()
    torch.testing.assert_close(found, expected)
    (gradient,) = torch.autograd.grad(found, logits)
    assert gradient.abs().sum() > 0
    same = divergence(2 * teacher.log(), teacher, temperature=2.0)
    torch.testing.assert_close(same, torch.tensor(0.0), atol=1e-6, rtol=0)


def test_teachers_answer_alike_for_mirrored_images(small_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    config = DistillConfig(teachers=(str(small_checkpoint),), scale=1.5)
    teachers = Teachers(config, checkpoint.config, checkpoint.label_set)
    torch.manual_seed(0)
    images = torch.randn(1, 3, 128, 192)
    answers = teachers(images)
    assert answers.shape == (1, 11, 128, 192)
    torch.testing.assert_close(answers.sum(1), torch.ones(1, 128, 192))
    mirrored = teachers(images.flip(3)).flip(3)
    torch.testing.assert_close(mirrored, answers, atol=1e-4, rtol=1e-3)
    assert not answers.requires_grad


def test_teacher_of_the_same_size_is_the_network_itself(small_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    config = DistillConfig(teachers=(str(small_checkpoint),), scale=1.0, flip=False)
    torch.manual_seed(0)
    # In the teachers' layout: another one rounds otherwise, which random weights enlarge.
    images = torch.randn(2, 3, 128, 192).contiguous(memory_format=torch.channels_last)
    answers = Teachers(config, checkpoint.config, checkpoint.label_set)(images)
    with torch.no_grad():
        expected = checkpoint.model(images).softmax(1)
    torch.testing.assert_close(answers, expected, atol=1e-5, rtol=1e-4)


def test_teachers_of_other_classes_or_normalisation_are_refused(small_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    config = DistillConfig(teachers=(str(small_checkpoint),))
    with pytest.raises(ConfigError, match=r'knows 11 classes \(camvid\).* learns 19 \(cityscapes'):
        Teachers(config, checkpoint.config, load_labels('cityscapes'))
    import dataclasses

    other = dataclasses.replace(checkpoint.config, mean=(0.1, 0.2, 0.3))
    with pytest.raises(ConfigError, match='normalises by'):
        Teachers(config, other, checkpoint.label_set)
    assert teachers_of(None, checkpoint.config, checkpoint.label_set) is None


@pytest.mark.parametrize(
    'wrong', [{'teachers': ()}, {'scale': 0.0}, {'temperature': float('nan')}]
)
def test_recipes_that_cannot_teach_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match='distill'):
        DistillConfig(**{'teachers': ('default',), **wrong})  # type: ignore[arg-type]
