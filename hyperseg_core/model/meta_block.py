# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meta blocks m_i: one level of the decoder, with weights that the signal brings.

HyperSeg (CVPR 2021), figure 2: a weight mapping network w_i turns the signal into the weights
of a patch-wise convolution or of a patch-wise inverted residual.

Shape suffixes used in this file:
    B batch, C channels, H/W map height/width [px], R/Q patch-grid rows/columns, U/V patch
    height/width [px], D dynamic weights per patch, N = B R Q.
"""

from torch import Tensor
from torch import nn

from hyperseg_core.model.levels import Level
from hyperseg_core.model.levels import Mapper
from hyperseg_core.model.patchwise import convolve_patches
from hyperseg_core.model.patchwise import merge_patches
from hyperseg_core.model.patchwise import split_patches
from hyperseg_core.model.patchwise import weights_per_patch


class WeightMapper(nn.Module):
    """w_i: a grouped, bias-free 1x1 convolution from a slice of the signal to a weight map."""

    def __init__(self, mapper: Mapper) -> None:
        """Create the layer that `mapper` describes."""
        super().__init__()
        self.offset = mapper.offset
        self.width = mapper.width
        self.num_dynamic_weights = mapper.num_dynamic_weights
        self.conv = nn.Conv2d(
            mapper.width, mapper.out_channels, 1, groups=mapper.groups, bias=False
        )

    def forward(self, signal: Tensor) -> Tensor:
        """Map the signal (B, S, R, Q) to a weight map (B, D, R, Q)."""
        weight_map = self.conv(signal[:, self.offset : self.offset + self.width])
        return weight_map[:, : self.num_dynamic_weights]


class ChannelBias(nn.Module):
    """Adds a constant to each channel: what is left of a batch norm whose scale was folded."""

    def __init__(self, bias: Tensor) -> None:
        """Hold `bias`, (C)."""
        super().__init__()
        self.bias = nn.Parameter(bias)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Add the bias to (N, C, H, W)."""
        return x_NCHW + self.bias[:, None, None]


class PointwiseMetaBlock(nn.Module):
    """Patch-wise 1x1 convolution, batch norm, ReLU."""

    def __init__(self, level: Level) -> None:
        """Create the static layers."""
        super().__init__()
        self.norms = _norms(level)
        self.activation = nn.ReLU()
        self.split = level.split

    def forward(self, x_BCHW: Tensor, weight_map: Tensor) -> Tensor:
        """Apply to a map (B, C_in, H, W) with weights (B, D, R, Q): (B, C_out, H, W)."""
        weights_BRQD = weights_per_patch(weight_map)
        patches_BRQCUV = split_patches(x_BCHW, (weights_BRQD.shape[1], weights_BRQD.shape[2]))
        out_BRQCUV = convolve_patches(patches_BRQCUV, weights_BRQD, kernel_size=1)
        return self.activation(_on_patches(self.norms[0], merge_patches(out_BRQCUV)))


class InvertedResidualMetaBlock(nn.Module):
    """Patch-wise inverted residual: 1x1, depthwise 3x3, 1x1, each with a batch norm.

    The weight vector holds, in order, (hidden, in), (hidden, 3, 3), (out, hidden).
    """

    def __init__(self, level: Level, *, halo: str) -> None:
        """Create the static layers; `halo` is explained in `DecoderConfig`."""
        super().__init__()
        self.norms = _norms(level)
        self.activation = nn.ReLU6()
        self.split = level.split
        self.is_residual = level.in_channels == level.out_channels
        self.has_own_halo = halo == 'own'

    def forward(self, x_BCHW: Tensor, weight_map: Tensor) -> Tensor:
        """Apply to a map (B, C_in, H, W) with weights (B, D, R, Q): (B, C_out, H, W)."""
        weights_BRQD = weights_per_patch(weight_map)
        grid = (weights_BRQD.shape[1], weights_BRQD.shape[2])
        expand, depthwise, project = weights_BRQD.split(self.split, dim=-1)
        halo = 1 if self.has_own_halo else 0
        x = convolve_patches(split_patches(x_BCHW, grid, halo=halo), expand, kernel_size=1)
        x = self.activation(_on_patches(self.norms[0], x))
        if not self.has_own_halo:
            x = split_patches(merge_patches(x), grid, halo=1)
        x = convolve_patches(x, depthwise, kernel_size=3, depthwise=True)
        x = self.activation(_on_patches(self.norms[1], x))
        x = _on_patches(self.norms[2], convolve_patches(x, project, kernel_size=1))
        merged_BCHW = merge_patches(x)
        return x_BCHW + merged_BCHW if self.is_residual else merged_BCHW


class RefinementMetaBlock(nn.Module):
    """Patch-wise 1x1 convolution and batch norm, added to the logits that its input ends with.

    Ours, not the paper's: within a patch a linear function of the finer tap corrects the logits,
    as local linear models do in guided upsampling (HDRNet, SIGGRAPH 2017). Untrained, it adds 0.
    """

    def __init__(self, level: Level) -> None:
        """Create the static layers."""
        super().__init__()
        self.norms = _norms(level)
        nn.init.zeros_(self.norms[0].weight)  # type: ignore[arg-type]
        self.in_channels, self.num_classes = level.in_channels, level.out_channels
        self.split = level.split

    def forward(self, x_BCHW: Tensor, weight_map: Tensor) -> Tensor:
        """Apply to a map (B, C_in, H, W) with weights (B, D, R, Q): logits (B, N, H, W)."""
        weights_BRQD = weights_per_patch(weight_map)
        patches_BRQCUV = split_patches(x_BCHW, (weights_BRQD.shape[1], weights_BRQD.shape[2]))
        out_BRQCUV = convolve_patches(patches_BRQCUV, weights_BRQD, kernel_size=1)
        correction_BNHW: Tensor = self.norms[0](merge_patches(out_BRQCUV))
        return x_BCHW[:, -self.num_classes :] + correction_BNHW


MetaBlock = PointwiseMetaBlock | InvertedResidualMetaBlock | RefinementMetaBlock


def _norms(level: Level) -> nn.ModuleList:
    return nn.ModuleList(nn.BatchNorm2d(channels) for channels in level.norm_channels)


def _on_patches(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a per-channel layer to maps (B, C, H, W) or patches (B, R, Q, C, U, V)."""
    x_NCUV = x.reshape(-1, *x.shape[-3:])
    out: Tensor = norm(x_NCUV).view(x.shape)
    return out
