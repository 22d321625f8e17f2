# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The decoder d: meta blocks from the coarsest tap to the finest, all weights dynamic.

HyperSeg (CVPR 2021), section 3.2 and figure 2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import DecoderConfig
from hyperseg_core.model.meta_block import InvertedResidualMetaBlock
from hyperseg_core.model.meta_block import MetaBlock
from hyperseg_core.model.meta_block import PointwiseMetaBlock
from hyperseg_core.model.meta_block import RefinementMetaBlock
from hyperseg_core.model.meta_block import WeightMapper
from hyperseg_core.model.meta_block import divide_signal
from hyperseg_core.model.meta_block import slice_offsets
from hyperseg_core.model.patchwise import positional_encoding


class Decoder(nn.Module):
    """The primary network."""

    def __init__(
        self,
        tap_channels: Sequence[int],
        signal_channels: int,
        num_classes: int,
        config: DecoderConfig,
    ) -> None:
        """Create the meta blocks and their weight mappers.

        Args:
            tap_channels: Channels of each tap, fine to coarse, the image first.
            signal_channels: Channels of the signal.
            num_classes: Output channels of the last level.
            config: The rest.
        """
        super().__init__()
        blocks: list[MetaBlock] = []
        previous = 0
        taps = tap_channels[::-1][: len(config.kernel_sizes)]
        inner = config.channels if config.channels is not None else taps[:-1]
        for tap, kernel_size, out_channels in zip(
            taps, config.kernel_sizes, (*inner, num_classes), strict=True
        ):
            in_channels = 2 + tap + previous
            blocks.append(
                PointwiseMetaBlock(in_channels, out_channels)
                if kernel_size == 1
                else InvertedResidualMetaBlock(
                    in_channels, out_channels, expansion=config.expansion, halo=config.halo
                )
            )
            previous = out_channels
        mappers = _weight_mappers([sum(block.split) for block in blocks], signal_channels, config)
        if config.refinement_width is not None:
            tap = _tap_that_refines(tap_channels, config.kernel_sizes)
            refinement = RefinementMetaBlock(2 + tap + num_classes, num_classes)
            blocks.append(refinement)
            mappers.append(
                _refinement_mapper(signal_channels, config.refinement_width, refinement)
            )
        self.meta_blocks = nn.ModuleList(blocks)
        self.weight_mappers = nn.ModuleList(mappers)
        self.level_sizes = tuple(sum(block.split) for block in blocks)

    @property
    def refinement_prefixes(self) -> tuple[str, ...]:
        """What the names of the refinement's parameters begin with; nothing without one."""
        level = len(self.meta_blocks) - 1
        if not isinstance(self.meta_blocks[level], RefinementMetaBlock):
            return ()
        return f'decoder.meta_blocks.{level}.', f'decoder.weight_mappers.{level}.'

    def weight_maps(self, signal: Tensor) -> list[Tensor]:
        """Map the signal (B, S, R, Q) to one weight map (B, D_i, R, Q) per level."""
        maps = [mapper(signal) for mapper in self.weight_mappers]
        unified_from = len(maps) - 1
        return [*maps[:-1], *maps[-1].split(self.level_sizes[unified_from:], dim=1)]

    def forward(self, taps: Sequence[Tensor], signal: Tensor) -> Tensor:
        """Decode.

        Args:
            taps: Maps, fine to coarse, the image first.
            signal: (B, S, R, Q).

        Returns:
            Logits at the finest level, (B, N, H_f, W_f).
        """
        x: Tensor | None = None
        levels = zip(self.meta_blocks, reversed(taps), self.weight_maps(signal), strict=False)
        for block, tap, weight_map in levels:
            x = block(level_input(tap, x), weight_map)
        assert x is not None
        return x


def level_input(tap: Tensor, previous: Tensor | None) -> Tensor:
    """Stack coordinates, the tap and the upsampled previous level: (B, 2 + C + C', H, W)."""
    batch, _, height, width = tap.shape
    coordinates = positional_encoding(height, width, device=tap.device, dtype=tap.dtype)
    parts = [coordinates.expand(batch, -1, -1, -1), tap]
    if previous is not None:
        parts.append(upsample(previous, (height, width)))
    return torch.cat(parts, 1)


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a map bilinearly to `size`, pixel areas aligned; as it is where it fits."""
    if tuple(x.shape[-2:]) == size:
        return x
    return functional.interpolate(x, size, mode='bilinear', align_corners=False)


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


def _refinement_mapper(channels: int, width: int, block: RefinementMetaBlock) -> WeightMapper:
    """Create the mapper from the signal's last channels.

    Raises:
        ConfigError: If the signal has not so many.
    """
    if not 1 <= width <= channels:
        msg = f'Decoder refinement_width is {width}, but must be 1 to {channels}, the signal has.'
        raise ConfigError(msg)
    return WeightMapper(channels - width, width, block.split[0], groups=1)


def _weight_mappers(
    sizes: Sequence[int], signal_channels: int, config: DecoderConfig
) -> list[WeightMapper]:
    if config.unified_from is not None:
        head = config.unified_from
        sizes = [*sizes[:head], sum(sizes[head:])]
    # Only the published VOC mapper rounds sizes up to its groups before it divides (SPEC 4).
    weights = [
        -(-size // groups) * groups for size, groups in zip(sizes, config.groups, strict=True)
    ]
    shares = weights if config.halo == 'neighbour' else sizes
    widths = divide_signal(signal_channels, shares, max(config.groups))
    offsets = slice_offsets(widths, consecutive=config.slices == 'consecutive')
    return [
        WeightMapper(*arguments)
        for arguments in zip(offsets, widths, sizes, config.groups, strict=True)
    ]
