# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for torch.cuda on the CPU: streams, pinned memory, and graphs that really replay.

A captured graph is the list of operators that ran meanwhile, with their very tensors. A replay
runs them again on these tensors and nothing else, as the kernels of a CUDA graph do: what reads
memory that no operator filled again gives the old answer.
"""

import contextlib
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Stream:
    """A stream that is always done, and counts how often it was waited for."""

    error: Exception | None = None
    """What the next wait raises."""

    def __init__(self, device: object = None) -> None:
        pass

    def synchronize(self) -> None:
        if Stream.error is not None:
            raise Stream.error


class Recorder(TorchDispatchMode):
    """Records the operators that run, and what they gave."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, found))
        return found


class Graph:
    """A CUDA graph."""

    num_replays = 0

    def __init__(self) -> None:
        self.recorder = Recorder()

    def replay(self) -> None:
        Graph.num_replays += 1
        for func, args, kwargs, found in self.recorder.calls:
            again = func(*args, **kwargs)
            for old, new in zip(pytree.tree_leaves(found), pytree.tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Capture:
    """`torch.cuda.graph`."""

    error: Exception | None = None
    """What the next capture raises."""
    modes: list[str] = []  # noqa: RUF012

    def __init__(self, graph: Graph, *, stream: Stream, capture_error_mode: str) -> None:
        Capture.modes.append(capture_error_mode)
        self._recorder = graph.recorder

    def __enter__(self) -> None:
        self._recorder.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._recorder.__exit__(*error)
        if Capture.error is not None:
            raise Capture.error


@contextlib.contextmanager
def current_stream(stream: Stream) -> Any:
    yield stream


def pretend(patch: pytest.MonkeyPatch) -> None:
    """Let `torch.cuda` be the CPU for a test; tensors are asked for on device `cpu`."""
    patch.setattr(Stream, 'error', None)
    patch.setattr(Capture, 'error', None)
    patch.setattr(Capture, 'modes', [])
    patch.setattr(Graph, 'num_replays', 0)
    zeros = torch.zeros
    patch.setattr(torch, 'zeros', lambda *a, pin_memory=False, **k: zeros(*a, **k))
    for name, fake in (
        ('Stream', Stream), ('stream', current_stream), ('CUDAGraph', Graph), ('graph', Capture),
    ):  # fmt: skip
        patch.setattr(torch.cuda, name, fake)
