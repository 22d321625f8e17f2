# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Distillation: a network learns what teachers see in a larger input, mirrored and not.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015). The teachers' answers
count on every pixel, also where there is no label.
"""

import torch
from torch import Tensor
from torch.nn import functional

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import LabelSet
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.config import nearest_multiple
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.training.config import DistillConfig

_STRIDE = 2
"""Every how many rows and columns the answers are compared."""


class Teachers:
    """Networks that answer by the mean of their probabilities; they are never trained."""

    def __init__(self, config: DistillConfig, student: ModelConfig, label_set: LabelSet) -> None:
        """Read the teachers.

        Raises:
            ConfigError: If one knows other classes than the student, or is normalised otherwise.
        """
        self._config = config
        self._networks: list[HyperSeg] = []
        for name in config.teachers:
            checkpoint = load_checkpoint(name)
            own = checkpoint.label_set
            if own.names != label_set.names or checkpoint.config.num_classes != len(own):
                msg = (
                    f'Teacher {name} knows {checkpoint.config.num_classes} classes '
                    f'({own.name}), but the student learns {len(label_set)} ({label_set.name}); '
                    f'they must be the same.'
                )
                raise ConfigError(msg)
            if (checkpoint.config.mean, checkpoint.config.std) != (student.mean, student.std):
                msg = (
                    f'Teacher {name} normalises by {checkpoint.config.mean}, '
                    f'{checkpoint.config.std}, but the student by {student.mean}, {student.std}; '
                    f'they must be the same.'
                )
                raise ConfigError(msg)
            network = checkpoint.model.eval().requires_grad_(requires_grad=False)
            self._networks.append(network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    def to(self, device: torch.device) -> None:
        """Move the teachers."""
        self._networks = [network.to(device) for network in self._networks]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Answer.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            Probabilities (B, N, H, W) at the images' size.
        """
        views = [(images, False)] + ([(images.flip(3), True)] if self._config.flip else [])
        answers = [
            self._answer(network, view, is_mirrored=is_mirrored)
            for network in self._networks
            for view, is_mirrored in views
        ]
        return torch.stack(answers).mean(0)

    def _answer(self, network: HyperSeg, images: Tensor, *, is_mirrored: bool) -> Tensor:
        height, width = images.shape[-2:]
        stride = network.config.stride
        scaled = (round(side * self._config.scale) for side in (height, width))
        size = [nearest_multiple(side, stride) for side in scaled]
        larger = functional.interpolate(images, size, mode='bilinear', align_corners=False)
        logits = network(larger.contiguous(memory_format=torch.channels_last)).float()
        logits = functional.interpolate(
            logits, (height, width), mode='bilinear', align_corners=False
        )
        logits = logits.flip(3) if is_mirrored else logits
        return (logits / self._config.temperature).softmax(1)


def divergence(
    logits: Tensor, probabilities: Tensor, *, temperature: float, stride: int = _STRIDE
) -> Tensor:
    """Return the mean Kullback-Leibler divergence of a student from its teachers, a scalar.

    Args:
        logits: The student's, (B, N, H, W).
        probabilities: The teachers', (B, N, H, W), at the same temperature.
        temperature: What the student's logits are divided by; the gradient is scaled back by its
            square, as in the paper.
        stride: Every how many rows and columns are looked at.
    """
    student = (logits[..., ::stride, ::stride] / temperature).log_softmax(1)
    teacher = probabilities[..., ::stride, ::stride]
    pixels = functional.kl_div(student, teacher, reduction='none').sum(1)
    return pixels.mean() * temperature**2


def teachers_of(
    config: DistillConfig | None, student: ModelConfig, label_set: LabelSet
) -> Teachers | None:
    """Return the teachers that a recipe names, if it names some."""
    return Teachers(config, student, label_set) if config is not None else None
