# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The context head *h*: from the coarsest features to the signal, one vector per patch.

A small U-Net whose lowest map is averaged over space, so that every patch knows the scene
(HyperSeg, CVPR 2021, section 3.1 and figure 3).
"""

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.model.config import ContextHeadConfig


def conv_norm(
    in_channels: int, out_channels: int, kernel_size: int = 1, *, activation: nn.Module | None
) -> nn.Sequential:
    """Return a bias-free convolution with stride = kernel size, a batch norm and an activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel_size, stride=kernel_size, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, *([activation] if activation is not None else []))


class ContextHead(nn.Module):
    """Turns head features (B, C, H / 32, W / 32) into the signal (B, C, R, Q) of the same size.

    In the `halved` kind the inner maps have C / 2 channels and the signal is the first of them
    beside what came back up; in the `full` kind they have C and the signal is what came back up.
    """

    def __init__(self, channels: int, config: ContextHeadConfig) -> None:
        """Create the layers for `channels` input and signal channels."""
        super().__init__()
        self.is_halved = config.kind == 'halved'
        inner = channels // 2 if self.is_halved else channels
        self.in_conv = (
            conv_norm(channels, inner, activation=nn.ReLU()) if self.is_halved else nn.Identity()
        )
        steps = range(config.levels - 1)
        self.down_blocks = nn.ModuleList(
            conv_norm(inner, inner, 2, activation=nn.ReLU()) for _ in steps
        )
        # The published VOC head has no activation before its weight mappers
        # (docs/published-differences.md: voc-head).
        self.up_blocks = nn.ModuleList(
            conv_norm(2 * inner, inner, activation=nn.ReLU() if self.is_halved or step else None)
            for step in steps
        )

    def forward(self, head_features: Tensor) -> Tensor:
        """Compute the signal.

        Args:
            head_features: (B, C, H / 32, W / 32), sides multiples of 2 ** (levels - 1).

        Returns:
            The signal, same shape.
        """
        maps = [self.in_conv(head_features)]
        for block in self.down_blocks:
            maps.append(block(maps[-1]))
        x = maps[-1].mean((2, 3), keepdim=True).expand_as(maps[-1])
        if self.is_halved:
            for finer, block in zip(maps[:0:-1], reversed(self.up_blocks), strict=True):
                x = functional.interpolate(
                    block(torch.cat((finer, x), 1)), scale_factor=2, mode='nearest'
                )
            return torch.cat((maps[0], x), 1)
        for finer, block in zip(maps[-2::-1], reversed(self.up_blocks), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode='nearest')
            x = block(torch.cat((finer, x), 1))
        return x
