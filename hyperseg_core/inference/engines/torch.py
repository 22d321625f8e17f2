# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as an engine, on CPU and CUDA: the network itself, its batch norms folded."""

import copy

import torch
from torch import Tensor
from torch import nn

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.model.decoder import upsample
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.preprocessing import Size

_DTYPES = {'f32': None, 'bf16': torch.bfloat16, 'f16': torch.float16}


class TorchEngine:
    """PyTorch, channels last, autocast where asked."""

    def __init__(self, task: Task, spec: EngineSpec) -> None:
        """Move the network to its device.

        Raises:
            EngineError: If the device is CUDA and there is none.
        """
        self._device = torch.device(spec.device)
        if self._device.type == 'cuda' and not torch.cuda.is_available():
            msg = f'Device {spec.device!r} asks for CUDA, but torch sees none; use `device: cpu`.'
            raise EngineError(msg)
        self._dtype = _DTYPES[spec.precision]
        segmentation = FrameSegmentation(
            task.checkpoint.model, len(task.checkpoint.label_set), task.output_size
        )
        self._network = segmentation.to(self._device)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._stream = torch.cuda.Stream(self._device) if self._device.type == 'cuda' else None

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        host = torch.from_numpy(frames)
        with torch.inference_mode():
            if self._stream is None:
                ids, confidence = self._compute(host)
                return ids.numpy(), confidence.numpy()
            with torch.cuda.stream(self._stream):
                outputs = self._compute(host.pin_memory().to(self._device, non_blocking=True))
                ids, confidence = (value.to('cpu', non_blocking=True) for value in outputs)
            self._stream.synchronize()
            return ids.numpy(), confidence.numpy()

    def _compute(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(
            self._device.type, self._dtype or torch.bfloat16, enabled=self._dtype is not None
        ):
            ids, confidence = self._network(frames)
        return ids, confidence

    def close(self) -> None:
        """Release the network."""
        self._network = None  # type: ignore[assignment]


def answer(model: HyperSeg, num_labels: int, frames: Bytes) -> tuple[Bytes, Bytes]:
    """Let a network answer in float32 on the CPU: what engines are compared with.

    Args:
        model: A trained network; it is left as it is.
        num_labels: Classes of the label set.
        frames: (B, H, W, 3) uint8 RGB, of the network's input size.

    Returns:
        Ids and confidence, (B, H, W) uint8 each.
    """
    network = FrameSegmentation(model, num_labels, (frames.shape[1], frames.shape[2])).cpu()
    with torch.inference_mode():
        pairs = [network(torch.from_numpy(frame[None])) for frame in frames]
    ids, confidence = (torch.cat(planes).numpy() for planes in zip(*pairs, strict=True))
    return ids, confidence


class FrameSegmentation(nn.Module):
    """The network between uint8 frames and uint8 ids, as the deployable graph has it."""

    mean: Tensor
    scale: Tensor

    def __init__(self, model: HyperSeg, num_labels: int, output_size: Size) -> None:
        """Copy and fuse `model`, which is left as it is.

        Args:
            model: A trained network.
            num_labels: Classes of the label set; an output beyond them is void, published as 255.
            output_size: Size of the ids [px].
        """
        super().__init__()
        self.network = copy.deepcopy(model).eval().fuse()
        self.network.requires_grad_(requires_grad=False)
        self.num_labels, self.output_size = num_labels, output_size
        config = model.config
        self.register_buffer('mean', 255 * torch.tensor(config.mean)[:, None, None])
        self.register_buffer('scale', 1 / (255 * torch.tensor(config.std))[:, None, None])

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Segment frames (B, H, W, 3) uint8: ids and confidence, (B, H', W') uint8 each."""
        images = (frames.permute(0, 3, 1, 2).float() - self.mean) * self.scale
        logits = self.network.coarse_logits(images).float() / self.network.config.temperature
        # Planes, not pixels, are what is compared: one small copy makes all the rest faster.
        return compare(upsample(logits.contiguous(), self.output_size), self.num_labels)


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
    if len(planes) > num_labels:
        ids = torch.where(ids < num_labels, ids, IGNORE_ID)
    return ids, (255 / total + 0.5).to(torch.uint8)
