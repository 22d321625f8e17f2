# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the EfficientNets are made of, as data: no PyTorch, no timm.

EfficientNet (Tan and Le, ICML 2019), table 1, and its Lite variants, which have no squeeze-excite
and keep stem, head and the first and last stage as they are. timm builds the network that trains
from the same numbers; the deployable graph is written from these.
"""

from dataclasses import dataclass
import math

from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import BackboneConfig

NORM_EPS = 1e-3
"""Epsilon of the networks' own batch norms, as TensorFlow has it."""
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280
# Of each stage of B0: kernel side, stride, expansion, channels, blocks.
_STAGES = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip
# Multipliers of channels and of blocks.
_MULTIPLIERS = {
    'b0': (1.0, 1.0), 'b1': (1.0, 1.1), 'b2': (1.1, 1.2), 'b3': (1.2, 1.4), 'b4': (1.4, 1.8),
    'lite0': (1.0, 1.0), 'lite1': (1.0, 1.1), 'lite2': (1.1, 1.2), 'lite3': (1.2, 1.4),
    'lite4': (1.4, 1.8),
}  # fmt: skip
_PREFIX = 'tf_efficientnet_'


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolution:
    """A convolution over space with its fixed padding."""

    kernel_size: int
    stride: int
    padding: tuple[int, int]
    """Pixels before and after, on both axes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A depthwise-separable block (`expansion` 1) or an inverted residual."""

    in_channels: int
    out_channels: int
    expansion: int
    depthwise: Convolution

    @property
    def hidden(self) -> int:
        """Channels of the depthwise convolution."""
        return self.in_channels * self.expansion

    @property
    def is_residual(self) -> bool:
        """Whether the block's input is added to its output."""
        return self.in_channels == self.out_channels and self.depthwise.stride == 1

    @property
    def squeezed(self) -> int:
        """Channels between the two layers of a squeeze-excite."""
        return round(self.in_channels * 0.25)


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficientNet:
    """One network, its padding fixed for a nominal image size."""

    stem_channels: int
    stem: Convolution
    stages: tuple[tuple[Block, ...], ...]
    head_channels: int
    is_lite: bool
    """ReLU6 and no squeeze-excite; otherwise SiLU with squeeze-excite."""

    @property
    def tapped_stages(self) -> tuple[int, ...]:
        """The stages whose output is tapped: before a stride of 2, and the last."""
        last = len(self.stages) - 1
        return tuple(
            index
            for index in range(len(self.stages))
            if index == last or self.stages[index + 1][0].depthwise.stride == 2
        )

    def tap_channels(self, scales: tuple[float, ...]) -> tuple[int, ...]:
        """Return the channels of each reduced tap, fine to coarse."""
        channels = [self.stages[stage][-1].out_channels for stage in self.tapped_stages]
        return tuple(round(count * scale) for count, scale in zip(channels, scales, strict=True))


def same_padding(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding (before, after) for an image side [px]."""
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def describe_efficientnet(config: BackboneConfig) -> EfficientNet:
    """Return what a configured backbone is made of.

    Raises:
        ConfigError: If the network is not one of ours, or depths or taps do not fit it.
    """
    variant = config.name.removeprefix(_PREFIX)
    if variant not in _MULTIPLIERS or not config.name.startswith(_PREFIX):
        msg = (
            f'Backbone {config.name!r} cannot be deployed; known: '
            f'{", ".join(_PREFIX + name for name in _MULTIPLIERS)}.'
        )
        raise ConfigError(msg)
    is_lite = _is_lite(config)
    width, depth = _MULTIPLIERS[variant]
    stem_channels = _STEM_CHANNELS if is_lite else _scaled(_STEM_CHANNELS, width)
    convolutions = _Padded(config.nominal_size)
    stem = convolutions.next(3, 2)
    stages: list[tuple[Block, ...]] = []
    channels = stem_channels
    for (kernel_size, stride, expansion, base, _), blocks in zip(
        _STAGES, _depths(config, depth), strict=True
    ):
        stage = []
        for index in range(blocks):
            convolution = convolutions.next(kernel_size, stride if index == 0 else 1)
            block = Block(
                in_channels=channels, out_channels=_scaled(base, width), expansion=expansion,
                depthwise=convolution,
            )  # fmt: skip
            stage.append(block)
            channels = block.out_channels
        stages.append(tuple(stage))
    head_channels = _HEAD_CHANNELS if is_lite else _scaled(_HEAD_CHANNELS, width)
    network = EfficientNet(
        stem_channels=stem_channels, stem=stem, stages=tuple(stages), head_channels=head_channels,
        is_lite=is_lite,
    )  # fmt: skip
    check_taps(config, len(network.tapped_stages))
    return network


def check_taps(config: BackboneConfig, num_taps: int) -> None:
    """Check that there is a scale for each tap.

    Raises:
        ConfigError: If not.
    """
    if len(config.tap_scales) != num_taps:
        msg = (
            f'Backbone {config.name!r} has {num_taps} taps but tap_scales has '
            f'{len(config.tap_scales)} entries.'
        )
        raise ConfigError(msg)


def check_depths(config: BackboneConfig, full: tuple[int, ...]) -> None:
    """Check that stages have as many blocks as `depths` keeps, if it says anything.

    Args:
        config: The backbone's configuration.
        full: Blocks in each stage of the whole network.

    Raises:
        ConfigError: If not.
    """
    depths = config.depths
    if depths is not None and (
        len(depths) != len(full) or any(not 1 <= d <= f for d, f in zip(depths, full, strict=True))
    ):
        msg = (
            f'Backbone {config.name!r} has {full} blocks in its stages, but depths is {depths}; '
            f'give as many numbers, each from 1 to that.'
        )
        raise ConfigError(msg)


class _Padded:
    """Gives the network's convolutions in their order, padded for the nominal size."""

    def __init__(self, size: int) -> None:
        self._size = size

    def next(self, kernel_size: int, stride: int) -> Convolution:
        padding = same_padding(self._size, kernel_size, stride)
        self._size = -(-self._size // stride)
        return Convolution(kernel_size=kernel_size, stride=stride, padding=padding)


def _depths(config: BackboneConfig, multiplier: float) -> tuple[int, ...]:
    """Return how many blocks each stage has, or keeps."""
    full = [math.ceil(blocks * multiplier) for *_, blocks in _STAGES]
    if _is_lite(config):
        full[0], full[-1] = _STAGES[0][-1], _STAGES[-1][-1]
    check_depths(config, tuple(full))
    return config.depths or tuple(full)


def _is_lite(config: BackboneConfig) -> bool:
    return config.name.removeprefix(_PREFIX).startswith('lite')


def _scaled(channels: int, multiplier: float) -> int:
    """Scale a channel count to a multiple of 8 that is not more than a tenth below."""
    wanted = channels * multiplier
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
