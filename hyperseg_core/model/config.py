# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a HyperSeg network is made of, as frozen data; one YAML per preset in `config/model`."""

from collections.abc import Sequence
import dataclasses
from dataclasses import dataclass
from pathlib import Path
import typing
from typing import Any
from typing import Literal

from hyperseg_core.errors import ConfigError
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.files.typed_yaml import read_yaml
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneConfig:
    """The encoder *b* and the reduction of its taps."""

    name: str
    """Name of the network in timm."""
    nominal_size: int
    """Image side that the fixed "SAME" padding is computed for [px]
    (docs/published-differences.md: padding)."""
    tap_scales: tuple[float, ...]
    """Channel scale of each tap, fine to coarse; at 1.0 a tap passes without a layer."""
    drop_path: float = 0.2
    """Drop-connect rate of the deepest block while training, 0 to 1."""
    depths: tuple[int, ...] | None = None
    """Blocks kept of each stage, the first ones; None: all. Later blocks of a stage are residual,
    and a network trained with `drop_path` takes their loss lightly."""
    dropout: float = 0.2
    """Dropout on the head features while training, 0 to 1."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: If a value is outside of them.
        """
        _check_ranges(
            'backbone',
            nominal_size=((self.nominal_size,), 32, 2048),
            tap_scales=(self.tap_scales, 0.01, 1.0),
            depths=(self.depths or (1,), 1, 64),
            drop_path=((self.drop_path,), 0.0, 1.0),
            dropout=((self.dropout,), 0.0, 1.0),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextHeadConfig:
    """The context head *h*, which turns the coarsest features into the signal."""

    kind: Literal['halved', 'full'] = 'halved'
    """`halved`: C/2 channels inside (CamVid, Cityscapes); `full`: C channels (VOC)."""
    levels: int = 2
    """Resolutions it works on; inputs are multiples of 32 * 2 ** (levels - 1) px."""

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: If there are no levels, or more than fit an image.
        """
        _check_ranges('context_head', levels=((self.levels,), 1, 5))


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """The primary network, whose convolution weights are all dynamic."""

    kernel_sizes: tuple[int, ...]
    """Kernel side per level, coarse to fine: 1 (pointwise) or 3 (inverted residual)."""
    channels: tuple[int, ...] | None
    """Output channels of every level but the last; None: those of the level's own tap."""
    groups: tuple[int, ...]
    """Groups of each weight mapper; a unified mapper has one entry."""
    expansion: int = 2
    """Hidden channels of an inverted residual, as a multiple of its input's."""
    slices: Literal['overlapping', 'consecutive'] = 'overlapping'
    """Whether mappers read the signal from channel 0 each, or one after the other."""
    halo: Literal['own', 'neighbour'] = 'own'
    """Whose weights made the values in the halo of a 3x3 step
    (docs/published-differences.md: halos)."""
    unified_from: int | None = None
    """First level of those whose weights one mapper makes in one go; None: one mapper each."""
    refinement_width: int | None = None
    """The signal's last channels, so many, make one more level: the next finer tap corrects the
    logits by a patch-wise 1x1 convolution; None: no such level."""

    def __post_init__(self) -> None:
        """Check that the levels fit each other.

        Raises:
            ConfigError: If lengths, kernel sizes or the unified level do not fit.
        """
        levels = len(self.kernel_sizes)
        last = levels - 1
        _check_ranges(
            'decoder',
            levels=((levels,), 1, 6),
            channels=(self.channels or (1,), 1, 1024),
            groups=(self.groups, 1, 1024),
            expansion=((self.expansion,), 1, 8),
            unified_from=((last if self.unified_from is None else self.unified_from,), 0, last),
            refinement_width=((self.refinement_width or 1,), 1, 8192),
        )
        if not set(self.kernel_sizes) <= {1, 3}:
            msg = f'Decoder kernel sizes {self.kernel_sizes} must each be 1 or 3.'
            raise ConfigError(msg)
        if self.channels is not None and len(self.channels) != levels - 1:
            msg = (
                f'Decoder has {levels} levels but {len(self.channels)} channel counts; give '
                f'{levels - 1}: the last level has as many channels as there are classes.'
            )
            raise ConfigError(msg)
        mappers = levels if self.unified_from is None else self.unified_from + 1
        if len(self.groups) != mappers:
            msg = f'Decoder has {mappers} weight mappers but {len(self.groups)} group counts.'
            raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """A whole network."""

    name: str
    """Name of the preset it came from."""
    num_classes: int
    """Channels of the logits; the published CamVid presets have 12 (11 and void)."""
    size: tuple[int, int]
    """Input size that it is meant for, height and width [px]."""
    mean: tuple[float, float, float]
    """Mean of RGB that inputs are normalised with, in units of full scale."""
    std: tuple[float, float, float]
    """Standard deviation of RGB, in units of full scale."""
    backbone: BackboneConfig
    context_head: ContextHeadConfig
    decoder: DecoderConfig
    temperature: float = 1.0
    """What the logits are divided by before they become probabilities (Guo et al., ICML 2017):
    fitted by `hyperseg calibrate` on images that were not trained on. Classes do not change."""

    def __post_init__(self) -> None:
        """Check the class count, the size, the normalisation and the temperature.

        Raises:
            ConfigError: If `num_classes` cannot be stored in a label image, or another value is
                outside its range.
        """
        _check_ranges(
            'model',
            size=(self.size, 32, 4096),
            mean=(self.mean, -10.0, 10.0),
            std=(self.std, 1e-4, 100.0),
            temperature=((self.temperature,), 0.05, 20.0),
        )
        if not 1 <= self.num_classes <= 255:
            msg = (
                f'num_classes is {self.num_classes}, but must be 1 to 255: id 255 of a label '
                f'image means unlabelled.'
            )
            raise ConfigError(msg)

    @property
    def stride(self) -> int:
        """The number that both input sides must be multiples of [px]."""
        return int(32 * 2 ** (self.context_head.levels - 1))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `config_from_dict` reads back."""
        return dataclasses.asdict(self)


def _check_ranges(part: str, **ranges: tuple[Sequence[float], float, float]) -> None:
    """Check that values lie within ranges, both ends included; NaN lies in none.

    Raises:
        ConfigError: For the first that does not, with its name.
    """
    for name, (values, low, high) in ranges.items():
        for value in values:
            if not low <= value <= high:
                msg = f'{part}.{name} is {value:.6g}, but must be {low:g} to {high:g}.'
                raise ConfigError(msg)


def nearest_multiple(size: int, unit: int) -> int:
    """Return the positive multiple of `unit` nearest to `size`."""
    return max(unit, (size + unit // 2) // unit * unit)


def preset_names() -> tuple[str, ...]:
    """Return the names of the shipped presets, sorted."""
    return resource_names('config', 'model', suffix='.yaml')


def load_config(preset_or_path: str | Path, *, num_classes: int | None = None) -> ModelConfig:
    """Read a preset by name, or a model YAML by path.

    Raises:
        ConfigError: If there is no such preset or file, or its content does not fit.
    """
    path = Path(preset_or_path)
    if path.suffix not in {'.yaml', '.yml'}:
        if str(preset_or_path) not in preset_names():
            msg = (
                f'Unknown preset {str(preset_or_path)!r}; known: {", ".join(preset_names())}. '
                f'For a network of your own, give the path of its YAML file.'
            )
            raise ConfigError(msg)
        path = resource('config', 'model', f'{preset_or_path}.yaml')
    data = read_yaml(path)
    if num_classes is not None and isinstance(data, dict):
        data['num_classes'] = num_classes
    return config_from_dict(data, origin=str(path))


def config_from_dict(data: object, *, origin: str = 'model configuration') -> ModelConfig:
    """Build a `ModelConfig` from plain nested data.

    Raises:
        ConfigError: For an unknown or missing key or a wrong type, with its dotted name.
    """
    return typing.cast('ModelConfig', build_dataclass(ModelConfig, data, origin=origin))
