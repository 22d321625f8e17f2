# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as an engine, on CPU and CUDA: what there is without an export, and the reference."""

import torch

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engines import Bytes
from hyperseg_core.inference.engines import EngineSpec
from hyperseg_core.inference.graph import DeployableGraph


class TorchEngine:
    """PyTorch: the graph as it is, channels last, autocast where asked."""

    def __init__(self, graph: DeployableGraph, spec: EngineSpec) -> None:
        """Move the graph to its device.

        Raises:
            EngineError: If the device is CUDA and there is none.
        """
        self._device = torch.device(spec.device)
        if self._device.type == 'cuda' and not torch.cuda.is_available():
            msg = f'Device {spec.device!r} asks for CUDA, but torch sees none; use `device: cpu`.'
            raise EngineError(msg)
        self._dtype = {'f32': None, 'bf16': torch.bfloat16, 'f16': torch.float16}[spec.precision]
        self._graph = graph.to(self._device)
        self._graph.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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

    def _compute(self, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast(
            self._device.type, self._dtype or torch.bfloat16, enabled=self._dtype is not None
        ):
            ids, confidence = self._graph(frames)
        return ids, confidence

    def close(self) -> None:
        """Release the graph."""
        self._graph = None  # type: ignore[assignment]
