# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network's two ends: normalised pixels in, classes out.

As published (docs/published-differences.md: evaluation).
"""

import torch
from torch import Tensor
from torch.nn import functional

from hyperseg_core.model.config import ModelConfig


def normalise(images: Tensor, config: ModelConfig) -> Tensor:
    """Normalise RGB images (B, 3, H, W) from 0 to 255: `(x / 255 - mean) / std`, float32."""
    mean = torch.tensor(config.mean, device=images.device)[:, None, None] * 255
    std = torch.tensor(config.std, device=images.device)[:, None, None] * 255
    return (images.float() - mean) / std


def logits_to_labels(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring logits (B, N, h, w) to `size` bilinearly and take the classes, (B, H, W) int64."""
    if tuple(logits.shape[-2:]) != size:
        logits = functional.interpolate(logits, size, mode='bilinear', align_corners=False)
    return logits.argmax(1)
