# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder's levels and weight mappers, as numbers: no PyTorch.

What a level convolves, how many dynamic weights it takes and which slice of the signal brings
them follows from the configuration alone (docs/published-differences.md: widths). Network and
deployable graph both read it here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import itertools
from typing import Literal

from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import DecoderConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One meta block."""

    kind: Literal['pointwise', 'inverted_residual', 'refinement']
    in_channels: int
    """Two of coordinates, the tap's, the previous level's."""
    out_channels: int
    hidden: int
    """Channels of the depthwise step of an inverted residual; else 0."""

    @property
    def split(self) -> tuple[int, ...]:
        """Dynamic weights of each of its convolutions, in order."""
        if self.kind == 'inverted_residual':
            return (
                self.in_channels * self.hidden,
                self.hidden * 9,
                self.hidden * self.out_channels,
            )
        return (self.in_channels * self.out_channels,)

    @property
    def norm_channels(self) -> tuple[int, ...]:
        """Channels of the batch norm after each of its convolutions."""
        if self.kind == 'inverted_residual':
            return self.hidden, self.hidden, self.out_channels
        return (self.out_channels,)

    @property
    def num_dynamic_weights(self) -> int:
        """Weights that it takes per patch."""
        return sum(self.split)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapper:
    """w_i: a grouped, bias-free 1x1 convolution from a slice of the signal to a weight map."""

    offset: int
    """First channel of the signal that it reads."""
    width: int
    """Channels of the signal that it reads."""
    num_dynamic_weights: int
    """Weights per patch that it makes."""
    groups: int

    @property
    def out_channels(self) -> int:
        """Outputs of the convolution: the weights, and what fills them up to whole groups."""
        return -(-self.num_dynamic_weights // self.groups) * self.groups


def plan_levels(
    tap_channels: Sequence[int], num_classes: int, config: DecoderConfig
) -> tuple[Level, ...]:
    """Return the levels, coarse to fine, a refinement last.

    Args:
        tap_channels: Channels of each tap, fine to coarse, the image first.
        num_classes: Output channels of the last level.
        config: The rest.

    Raises:
        ConfigError: If a refinement has no tap left.
    """
    levels: list[Level] = []
    previous = 0
    taps = tap_channels[::-1][: len(config.kernel_sizes)]
    inner = config.channels if config.channels is not None else taps[:-1]
    for tap, kernel_size, out_channels in zip(
        taps, config.kernel_sizes, (*inner, num_classes), strict=True
    ):
        in_channels = 2 + tap + previous
        levels.append(
            Level(
                kind='pointwise' if kernel_size == 1 else 'inverted_residual',
                in_channels=in_channels,
                out_channels=out_channels,
                hidden=0 if kernel_size == 1 else in_channels * config.expansion,
            )
        )
        previous = out_channels
    if config.refinement_width is not None:
        tap = _tap_that_refines(tap_channels, config.kernel_sizes)
        in_channels = 2 + tap + num_classes
        levels.append(
            Level(kind='refinement', in_channels=in_channels, out_channels=num_classes, hidden=0)
        )
    return tuple(levels)


def plan_mappers(
    levels: Sequence[Level], signal_channels: int, config: DecoderConfig
) -> tuple[Mapper, ...]:
    """Return the weight mappers: one for each level, or one for all from `unified_from` on.

    Raises:
        ConfigError: If the signal has too few channels.
    """
    sizes = [level.num_dynamic_weights for level in levels if level.kind != 'refinement']
    if config.unified_from is not None:
        head = config.unified_from
        sizes = [*sizes[:head], sum(sizes[head:])]
    # Only the published VOC mapper rounds sizes up to its groups before it divides
    # (docs/published-differences.md: rounding).
    weights = [
        -(-size // groups) * groups for size, groups in zip(sizes, config.groups, strict=True)
    ]
    shares = weights if config.halo == 'neighbour' else sizes
    widths = divide_signal(signal_channels, shares, max(config.groups))
    offsets = slice_offsets(widths, consecutive=config.slices == 'consecutive')
    mappers = [
        Mapper(offset=offset, width=width, num_dynamic_weights=size, groups=groups)
        for offset, width, size, groups in zip(offsets, widths, sizes, config.groups, strict=True)
    ]
    if config.refinement_width is not None:
        mappers.append(_refinement_mapper(signal_channels, config.refinement_width, levels[-1]))
    return tuple(mappers)


def divide_signal(channels: int, sizes: Sequence[int], unit: int) -> tuple[int, ...]:
    """Share the signal's channels among weight mappers in proportion to their output.

    Mappers of equal size share evenly. The groups of equals, largest total first, take whole
    units, rounded down but at least one each; the last group takes what is left.

    Args:
        channels: Channels of the signal; a multiple of `unit`.
        sizes: Number of dynamic weights of each mapper.
        unit: Channels that are not divided further.

    Returns:
        Channels for each mapper.

    Raises:
        ConfigError: If there are fewer units than mappers.
    """
    units = channels // unit
    ratio = units / sum(sizes)
    members = {size: [i for i, other in enumerate(sizes) if other == size] for size in set(sizes)}
    groups = sorted(members.items(), key=lambda item: -item[0] * len(item[1]))
    widths = [0] * len(sizes)
    left = units
    for position, (size, indices) in enumerate(groups):
        is_last = position == len(groups) - 1
        each = (left if is_last else int(size * len(indices) * ratio)) // len(indices)
        each = max(each, 1)
        left -= each * len(indices)
        for index in indices:
            widths[index] = each * unit
    if left < 0:
        msg = (
            f'The signal has {channels} channels, {units} units of {unit}: too few for '
            f'{len(sizes)} weight mappers; use fewer groups.'
        )
        raise ConfigError(msg)
    return tuple(widths)


def slice_offsets(widths: Sequence[int], *, consecutive: bool) -> tuple[int, ...]:
    """Return the first signal channel of each mapper (docs/published-differences.md: slices)."""
    return tuple(itertools.accumulate((0, *widths[:-1]))) if consecutive else (0,) * len(widths)


def _tap_that_refines(tap_channels: Sequence[int], kernel_sizes: Sequence[int]) -> int:
    """Return the channels of the tap after the last level's.

    Raises:
        ConfigError: If there is none.
    """
    if len(kernel_sizes) >= len(tap_channels):
        msg = (
            f'Decoder has {len(kernel_sizes)} levels for {len(tap_channels)} taps, the image '
            f'among them, which leaves none to refine with; set refinement_width to null.'
        )
        raise ConfigError(msg)
    return tap_channels[::-1][len(kernel_sizes)]


def _refinement_mapper(channels: int, width: int, level: Level) -> Mapper:
    """Return the mapper from the signal's last channels.

    Raises:
        ConfigError: If the signal has not so many.
    """
    if not 1 <= width <= channels:
        msg = f'Decoder refinement_width is {width}, but must be 1 to {channels}, the signal has.'
        raise ConfigError(msg)
    return Mapper(
        offset=channels - width, width=width, num_dynamic_weights=level.split[0], groups=1
    )
