# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One network on CUDA: fixed memory, one stream, and a graph of all that is computed.

Frames lie in pinned host memory, go to the device in one copy, and ids and confidence come back in
one copy each. Nothing is taken per frame: a CUDA graph replays the same kernels on the same
memory. Where a graph cannot be captured the same operators run one by one.
"""

from collections.abc import Iterator
import contextlib
import logging
from typing import ClassVar
import weakref

import torch
from torch import Tensor
from torch import nn

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import Task
from hyperseg_core.process_end import keep_for_good

_logger = logging.getLogger(__name__)
_WARM_UP_RUNS = 3
"""Before a capture: libraries choose their kernels and take their memory meanwhile."""
_DEVICE_WORDS = ('CUDA', 'CUDNN', 'cuDNN', 'CUBLAS')
"""What errors of the device have in their first line; others are of the network."""
_MEMORY_WORDS = ('out of memory', 'ALLOC_FAILED', 'ALLOCATION_FAILED', 'NOT_INITIALIZED')
"""What those of its memory have: libraries that find none for themselves do not initialise."""
_NO_KERNELS = 'no kernel image'


class CudaRunner:
    """Runs a network that maps uint8 frames to uint8 ids and confidence."""

    _live: ClassVar[weakref.WeakSet['CudaRunner']] = weakref.WeakSet()
    """All that are there: a loss of the device is one of them all."""

    def __init__(
        self, network: nn.Module, task: Task, device: torch.device, *, use_graph: bool = True
    ) -> None:
        """Bring the network to the device, warm it up and capture its graph.

        Args:
            network: Frames (B, H, W, 3) to ids and confidence (B, H', W'); it is moved.
            task: The shapes.
            device: A CUDA device.
            use_graph: Whether to try a graph; without one, every operator is a launch.

        Raises:
            EngineError: If the device fails, or its memory does not suffice.
        """
        CudaRunner._live.add(self)
        self._device = device
        shape = (task.batch, *task.size, 3)
        output_shape = (task.batch, *task.output_size)
        self._graph: torch.cuda.CUDAGraph | None = None
        with self._failures(), torch.inference_mode():
            # Weights, warm-up, capture and frames: all on one stream, so nothing has to wait.
            self._stream = torch.cuda.Stream(device)
            with torch.cuda.stream(self._stream):
                self._network = network.to(device)
                self._host_frames = _pinned(shape)
                self._frames = torch.zeros(shape, dtype=torch.uint8, device=device)
                self._host_outputs = (_pinned(output_shape), _pinned(output_shape))
                self._outputs = tuple(
                    torch.zeros(output_shape, dtype=torch.uint8, device=device) for _ in range(2)
                )
                for _ in range(_WARM_UP_RUNS):
                    self._compute()
            self._stream.synchronize()
            if use_graph:
                self._capture()
        self.frames: Bytes = self._host_frames.numpy()
        """Where frames are best written: (B, H, W, 3) uint8, pinned."""

    @property
    def has_graph(self) -> bool:
        """Whether frames are a replay; else operators run one by one."""
        return self._graph is not None

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment frames (B, H, W, 3) uint8: ids and confidence, (B, H', W') uint8 each.

        Raises:
            EngineError: If the device fails; `is_lost` where nothing will run on it any more.
        """
        if frames is not self.frames:
            self.frames[...] = frames
        with self._failures(), torch.inference_mode(), torch.cuda.stream(self._stream):
            self._frames.copy_(self._host_frames, non_blocking=True)
            if self._graph is not None:
                self._graph.replay()
            else:
                self._compute()
            for host, output in zip(self._host_outputs, self._outputs, strict=True):
                host.copy_(output, non_blocking=True)
            self._stream.synchronize()
        ids, confidence = (host.numpy().copy() for host in self._host_outputs)
        return ids, confidence

    def _compute(self) -> None:
        """Segment the frames that are on the device; the answers stay there."""
        is_exact = next(self._network.parameters()).dtype == torch.float32
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=True, deterministic=False, allow_tf32=not is_exact
        ):
            found: tuple[Tensor, Tensor] = self._network(self._frames)
        for output, value in zip(self._outputs, found, strict=True):
            output.copy_(value)

    def _capture(self) -> None:
        """Capture what `_compute` does, where that can be captured."""
        # The runner's own from now on: what is lost with the device must not be destroyed.
        graph = self._graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may allocate meanwhile: another engine runs while this one is built.
            # A failed capture leaves its stream the thread's own; the outer one puts it back.
            with (
                torch.cuda.stream(self._stream),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode='thread_local'),
            ):
                self._compute()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as err:
            # Raises where the device is gone, not just the graph.
            self._stream.synchronize()
            _logger.warning(
                'No CUDA graph of this network (%s); its operators run one by one.', err
            )
            self._graph = None

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what CUDA raises into `EngineError`; where the device is lost, keep what is on it.

        All but a lack of memory is there to stay: after e.g. a failed assertion in a kernel every
        call of the process fails.
        """
        try:
            yield
        except RuntimeError as err:
            text = str(err).partition('\n')[0]
            is_memory = any(word in text for word in _MEMORY_WORDS)
            if isinstance(err, torch.OutOfMemoryError) or is_memory:
                raise EngineError(f'The GPU is out of memory: {text}') from err
            if _NO_KERNELS in text:
                raise EngineError(f'This PyTorch has no kernels for the GPU: {text}') from err
            if any(word in text for word in _DEVICE_WORDS):
                # Freeing pinned memory records an event, and PyTorch aborts where that fails.
                for runner in list(CudaRunner._live):
                    keep_for_good(runner)
                raise EngineError(f'The GPU is lost: {text}', lost=True) from err
            raise


def _pinned(shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
