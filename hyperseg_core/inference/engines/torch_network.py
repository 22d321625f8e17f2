# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network between uint8 frames and uint8 ids in PyTorch, as the deployable graph has it.

Weights and maps are of one type, half or single precision; pixels are normalised and classes are
compared in float32 whatever it is. All that is constant is a parameter or a buffer, so that one
`to` brings everything to a device.
"""

import copy

import torch
from torch import Tensor
from torch import nn

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import Precision
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.model.decoder import upsample
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.preprocessing import Size

DTYPES: dict[Precision, torch.dtype] = {
    'f32': torch.float32, 'bf16': torch.bfloat16, 'f16': torch.float16,
}  # fmt: skip


class FrameSegmentation(nn.Module):
    """Frames (B, H, W, 3) uint8 to ids and confidence (B, H', W') uint8."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self, model: HyperSeg, num_labels: int, size: Size, output_size: Size, dtype: torch.dtype
    ) -> None:
        """Copy, fuse and cast `model`, which is left as it is.

        Args:
            model: A trained network.
            num_labels: Classes of the label set; an output beyond them is void, published as 255.
            size: The network's input size [px].
            output_size: Size of the ids [px].
            dtype: Type of the weights and of all that is computed between the two ends.

        Raises:
            EngineError: If a weight is beyond what the type can hold.
        """
        super().__init__()
        self.network = copy.deepcopy(model).eval().fuse()
        self.network.requires_grad_(requires_grad=False)
        self.network.decoder.keep_coordinates(*size)
        self.network.to(dtype)
        _check_finite(self.network, dtype)
        self.num_labels, self.output_size, self.dtype = num_labels, output_size, dtype
        config = model.config
        self.register_buffer('mean', 255 * torch.tensor(config.mean)[:, None, None])
        self.register_buffer('scale', 1 / (255 * torch.tensor(config.std))[:, None, None])

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Segment: ids and confidence."""
        images = (frames.permute(0, 3, 1, 2).float() - self.mean) * self.scale
        logits = self.network.coarse_logits(images.to(self.dtype)).float()
        logits = logits / self.network.config.temperature
        # Planes, not pixels, are what is compared: one small copy makes all the rest faster.
        fine = upsample(logits.contiguous(), self.output_size)
        # Each operator of a GPU is a launch, and on a CPU a pass over memory.
        return (compare if fine.device.type == 'cpu' else compare_at_once)(fine, self.num_labels)


def answer(model: HyperSeg, num_labels: int, frames: Bytes) -> tuple[Bytes, Bytes]:
    """Let a network answer in float32 on the CPU: what engines are compared with.

    Args:
        model: A trained network; it is left as it is.
        num_labels: Classes of the label set.
        frames: (B, H, W, 3) uint8 RGB, of the network's input size.

    Returns:
        Ids and confidence, (B, H, W) uint8 each.
    """
    size = (frames.shape[1], frames.shape[2])
    network = FrameSegmentation(model, num_labels, size, size, torch.float32).cpu()
    with torch.inference_mode():
        pairs = [network(torch.from_numpy(frame[None])) for frame in frames]
    ids, confidence = (torch.cat(planes).numpy() for planes in zip(*pairs, strict=True))
    return ids, confidence


def compare(logits: Tensor, num_labels: int) -> tuple[Tensor, Tensor]:
    """Take each pixel's class and its probability as bytes, class by class.

    The probability of the largest logit is 1 / sum(exp(logits - largest)). On a CPU, argmax over
    the classes takes several times as long as this.

    Args:
        logits: (B, N, H, W).
        num_labels: Classes of the label set.
    """
    planes = logits.unbind(1)
    largest, ids = planes[0], torch.zeros_like(planes[0], dtype=torch.uint8)
    for index, plane in enumerate(planes[1:], start=1):
        ids = torch.where(plane > largest, index, ids)
        largest = torch.maximum(largest, plane)
    total = torch.exp(planes[0] - largest)
    for plane in planes[1:]:
        total += torch.exp(plane - largest)
    return _published(ids, 1 / total, len(planes), num_labels)


def compare_at_once(logits: Tensor, num_labels: int) -> tuple[Tensor, Tensor]:
    """Do what `compare` does in two passes over all classes, which a GPU is fast at."""
    probability, ids = logits.softmax(1).max(1)
    return _published(ids.to(torch.uint8), probability, logits.shape[1], num_labels)


def _published(
    ids: Tensor, probability: Tensor, count: int, num_labels: int
) -> tuple[Tensor, Tensor]:
    """Return ids without void, and the probability as bytes; that of NaN is 0 on every device."""
    if count > num_labels:
        ids = torch.where(ids < num_labels, ids, IGNORE_ID)
    return ids, torch.nan_to_num(255 * probability + 0.5).to(torch.uint8)


def _check_finite(network: nn.Module, dtype: torch.dtype) -> None:
    for name, weight in network.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            msg = (
                f'{name} is beyond what {dtype} can hold: the network cannot run in it. '
                f'Use `precision: f32`.'
            )
            raise EngineError(msg)
