# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch as an engine, on CPU and CUDA: the network itself, its batch norms folded."""

from collections.abc import Sequence

import torch

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines.torch_cuda import CudaRunner
from hyperseg_core.inference.engines.torch_network import DTYPES
from hyperseg_core.inference.engines.torch_network import FrameSegmentation


def check_runs(spec: EngineSpec) -> None:
    """Check that PyTorch reaches the device.

    Raises:
        EngineError: If not, with what it says.
    """
    if not spec.is_cuda:
        return
    if not torch.cuda.is_available():
        built_for = f'is built for CUDA {torch.version.cuda}' if torch.version.cuda else 'has none'
        msg = (
            f'Device {spec.device!r} asks for CUDA, but torch sees none; use `device: cpu`. '
            f'torch {torch.__version__} {built_for}.'
        )
        raise EngineError(msg)
    capability = torch.cuda.get_device_capability(spec.cuda_index)
    architectures = torch.cuda.get_arch_list()
    if not has_kernels(architectures, capability):
        msg = (
            f'torch {torch.__version__} has kernels for {", ".join(architectures)}, and none for '
            f'the sm_{capability[0]}{capability[1]} of {spec.device}: install a build for this '
            f'GPU, or use `device: cpu`.'
        )
        raise EngineError(msg)


def has_kernels(architectures: Sequence[str], capability: tuple[int, int]) -> bool:
    """Tell whether a library has kernels that a GPU may run.

    Args:
        architectures: What it is built for: `sm_80` runs on that generation, `compute_80` is
            compiled for any later one, too.
        capability: The GPU's, (8, 7).
    """
    for architecture in architectures:
        kind, _, text = architecture.partition('_')
        number = int(''.join(filter(str.isdigit, text)))
        built_for = (number // 10, number % 10)
        if built_for <= capability and (kind == 'compute' or built_for[0] == capability[0]):
            return True
    return False


class TorchEngine:
    """PyTorch, channels last."""

    def __init__(self, task: Task, spec: EngineSpec) -> None:
        """Move the network to its device.

        Raises:
            EngineError: If the device fails, or cannot hold the network.
        """
        device = torch.device(spec.device)
        checkpoint = task.checkpoint
        network = FrameSegmentation(
            checkpoint.model, len(checkpoint.label_set), task.size, task.output_size,
            DTYPES[spec.precision],
        )  # fmt: skip
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._runner: CudaRunner | None = None
        self._network: FrameSegmentation | None = None
        if device.type == 'cuda':
            self._runner = CudaRunner(network, task, device)
        else:
            self._network = network

    @property
    def frames(self) -> Bytes | None:
        """Where frames are best written, see `Engine`."""
        return self._runner.frames if self._runner is not None else None

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        if self._runner is not None:
            return self._runner.run(frames)
        assert self._network is not None
        with torch.inference_mode():
            ids, confidence = self._network(torch.from_numpy(frames))
        return ids.numpy(), confidence.numpy()

    def close(self) -> None:
        """Release the network."""
        self._runner = self._network = None
