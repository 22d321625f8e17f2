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

from hyperseg_core.model.config import DecoderConfig
from hyperseg_core.model.levels import Level
from hyperseg_core.model.levels import plan_levels
from hyperseg_core.model.levels import plan_mappers
from hyperseg_core.model.meta_block import InvertedResidualMetaBlock
from hyperseg_core.model.meta_block import MetaBlock
from hyperseg_core.model.meta_block import PointwiseMetaBlock
from hyperseg_core.model.meta_block import RefinementMetaBlock
from hyperseg_core.model.meta_block import WeightMapper
from hyperseg_core.model.patchwise import positional_encoding

_MAX_LEVELS = 6
"""The image and the taps at strides 2 to 32."""


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
        levels = plan_levels(tap_channels, num_classes, config)
        mappers = plan_mappers(levels, signal_channels, config)
        self.meta_blocks = nn.ModuleList(_meta_block(level, config) for level in levels)
        self.weight_mappers = nn.ModuleList(WeightMapper(mapper) for mapper in mappers)
        self.level_sizes = tuple(level.num_dynamic_weights for level in levels)

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
            x = block(level_input(tap, x, self.coordinates(tap)), weight_map)
        assert x is not None
        return x

    def keep_coordinates(self, height: int, width: int) -> None:
        """Make the coordinates of an input size [px] buffers: moved and cast with the weights.

        Else they are computed in every call, as a network that is trained sees many sizes.
        """
        for level in range(_MAX_LEVELS):
            size = (height >> level, width >> level)
            places = positional_encoding(*size, device=torch.device('cpu'), dtype=torch.float32)
            self.register_buffer(_coordinates_name(size), places, persistent=False)

    def coordinates(self, tap: Tensor) -> Tensor:
        """Return the coordinates of a tap's pixels, (1, 2, H, W)."""
        size = (tap.shape[2], tap.shape[3])
        kept: Tensor | None = getattr(self, _coordinates_name(size), None)
        if kept is not None:
            return kept
        return positional_encoding(*size, device=tap.device, dtype=tap.dtype)


def level_input(tap: Tensor, previous: Tensor | None, coordinates: Tensor) -> Tensor:
    """Stack coordinates, the tap and the upsampled previous level: (B, 2 + C + C', H, W)."""
    batch, _, height, width = tap.shape
    parts = [coordinates.expand(batch, -1, -1, -1), tap]
    if previous is not None:
        parts.append(upsample(previous, (height, width)))
    return torch.cat(parts, 1)


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a map bilinearly to `size`, pixel areas aligned; as it is where it fits."""
    if tuple(x.shape[-2:]) == size:
        return x
    return functional.interpolate(x, size, mode='bilinear', align_corners=False)


def _coordinates_name(size: tuple[int, int]) -> str:
    return f'coordinates_{size[0]}x{size[1]}'


def _meta_block(level: Level, config: DecoderConfig) -> MetaBlock:
    if level.kind == 'inverted_residual':
        return InvertedResidualMetaBlock(level, halo=config.halo)
    return PointwiseMetaBlock(level) if level.kind == 'pointwise' else RefinementMetaBlock(level)
