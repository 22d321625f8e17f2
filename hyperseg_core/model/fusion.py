# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folding batch norms away: exact, once the statistics are frozen.

A batch norm is y = a x + c per channel. After a static convolution, a and c go into its weights
and bias. After a dynamic one, a goes into the rows of the weight mapper that make that output
channel's weights, and c stays as a bias.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from hyperseg_core.model.context_head import ContextHead
from hyperseg_core.model.decoder import Decoder
from hyperseg_core.model.meta_block import ChannelBias
from hyperseg_core.model.meta_block import MetaBlock

if TYPE_CHECKING:
    from hyperseg_core.model.hyperseg import HyperSeg


def fuse_norms(model: 'HyperSeg') -> None:
    """Fold every batch norm of the network, in place; a second call changes nothing."""
    model.eval()
    with torch.no_grad():
        _fuse_backbone(model.backbone)
        _fuse_context_head(model.context_head)
        _fuse_decoder(model.decoder)


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return a and c of a frozen batch norm, in float64, (C) each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    scale, shift = scale_and_shift(norm)
    weight = conv.weight.double() * scale[:, None, None, None]
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    conv.weight = nn.Parameter(weight.to(conv.weight.dtype))
    conv.bias = nn.Parameter(shift.to(conv.weight.dtype))


def _fuse_backbone(backbone: nn.Module) -> None:
    pairs = [(backbone, 'conv_stem', 'bn1'), (backbone, 'conv_head', 'bn2')]
    for block in backbone.modules():
        if hasattr(block, 'conv_pwl'):
            pairs += [(block, 'conv_pw', 'bn1'), (block, 'conv_dw', 'bn2')]
            pairs += [(block, 'conv_pwl', 'bn3')]
        elif hasattr(block, 'conv_dw'):
            pairs += [(block, 'conv_dw', 'bn1'), (block, 'conv_pw', 'bn2')]
    for owner, conv_name, norm_name in pairs:
        norm = getattr(owner, norm_name)
        if isinstance(norm, nn.BatchNorm2d):
            _fold(getattr(owner, conv_name), norm)
            setattr(owner, norm_name, norm.act)  # timm's norms carry their activation
    for reduction in backbone.tap_reductions:  # type: ignore[union-attr]
        _fuse_sequential(reduction)


def _fuse_context_head(head: ContextHead) -> None:
    for block in (head.in_conv, *head.down_blocks, *head.up_blocks):
        _fuse_sequential(block)


def _fuse_sequential(block: nn.Module) -> None:
    if isinstance(block, nn.Sequential) and isinstance(block[1], nn.BatchNorm2d):
        conv = block[0]
        assert isinstance(conv, nn.Conv2d)
        _fold(conv, block[1])
        block[1] = nn.Identity()


def _fuse_decoder(decoder: Decoder) -> None:
    blocks: list[MetaBlock] = list(decoder.meta_blocks)  # type: ignore[arg-type]
    mappers = list(decoder.weight_mappers)
    first_row = 0
    for level, block in enumerate(blocks):
        mapper = mappers[min(level, len(mappers) - 1)]
        if level < len(mappers):
            first_row = 0
        first_row = _fuse_meta_block(block, mapper.conv, first_row)  # type: ignore[arg-type]


def _fuse_meta_block(block: MetaBlock, conv: nn.Conv2d, first_row: int) -> int:
    """Fold one block's norms into rows of its mapper, and return the row after them."""
    row = first_row
    for index, (norm, size) in enumerate(zip(block.norms, block.split, strict=True)):
        if isinstance(norm, nn.BatchNorm2d):
            scale, shift = scale_and_shift(norm)
            per_row = scale.repeat_interleave(size // norm.num_features)
            rows = conv.weight[row : row + size]
            folded = (rows.double() * per_row[:, None, None, None]).to(rows.dtype)
            conv.weight[row : row + size] = folded
            block.norms[index] = ChannelBias(shift.to(rows.dtype))
        row += size
    return row
