# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an engine is: the contract that all of them keep, and the words that choose one.

Nothing here imports an engine's library; `engines/` has one module for each.
"""

from collections.abc import Mapping
import contextlib
from dataclasses import dataclass
import importlib
from importlib import metadata
import importlib.util
from pathlib import Path
import re
from typing import Literal
from typing import Protocol
from typing import runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.deploy.forms import FormName
from hyperseg_core.deploy.forms import Precision as GraphPrecision
from hyperseg_core.errors import EngineError
from hyperseg_core.preprocessing import Size

Bytes = NDArray[np.uint8]
EngineName = Literal['tensorrt', 'torch', 'onnxruntime', 'openvino']
Precision = Literal['f32', 'bf16', 'f16']
ENGINES: tuple[EngineName, ...] = ('tensorrt', 'torch', 'onnxruntime', 'openvino')
CPU_ENGINES: tuple[EngineName, ...] = ('openvino', 'onnxruntime', 'torch')
"""Those that run without a GPU, the fastest first."""
GPU_ENGINES: tuple[EngineName, ...] = ('tensorrt', 'torch', 'onnxruntime')
"""Those that run on NVIDIA GPUs, the fastest first."""
_INSTALL: Mapping[EngineName, str] = {
    'tensorrt': 'tensorrt', 'onnxruntime': 'onnxruntime', 'openvino': 'openvino',
    'torch': 'torch timm',
}  # fmt: skip

_TEGRA = Path('/etc/nv_tegra_release')
"""Jetsons have it; their TensorRT is apt's."""


class Engine(Protocol):
    """Runs one network at fixed shapes."""

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment frames (B, H, W, 3) uint8 RGB: ids and confidence, (B, H', W') uint8 each.

        From one thread at a time; what it returned stays as it is.

        Raises:
            EngineError: If the engine fails; `lost` where it will not run again.
        """

    def close(self) -> None:
        """Release what the engine holds."""


@runtime_checkable
class PinnedEngine(Engine, Protocol):
    """An engine that reads frames from memory of its own, which a GPU copies from fastest."""

    @property
    def frames(self) -> Bytes | None:
        """Where frames (B, H, W, 3) are best written before a run of them; None: anywhere."""


class EngineFiles(Protocol):
    """Where an engine keeps what it built; nothing is kept where there is no place."""

    @property
    def folder(self) -> Path | None:
        """A folder for engines that write files of their own; None where there is no place."""

    def read(self, name: str) -> bytes | None:
        """Return a file that was written before, if it is what was written."""

    def write(self, name: str, data: bytes) -> None:
        """Keep a file for next time, if there is a place."""


class NoFiles:
    """Keeps no files."""

    folder: Path | None = None

    def read(self, name: str) -> bytes | None:
        """Have nothing."""
        return None

    def write(self, name: str, data: bytes) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine, where, and how exactly it computes."""

    name: EngineName
    device: str
    """`cpu`, `gpu` (Intel, OpenVINO), `cuda` or `cuda:N`."""
    precision: Precision

    def __str__(self) -> str:
        """Return e.g. `openvino on cpu, bf16`."""
        return f'{self.name} on {self.device}, {self.precision}'

    @property
    def is_cuda(self) -> bool:
        """Whether it runs on an NVIDIA GPU."""
        return self.device.startswith('cuda')

    @property
    def cuda_index(self) -> int:
        """The number of the NVIDIA GPU that it runs on."""
        return int(self.device.partition(':')[2] or 0)

    @property
    def form(self) -> FormName:
        """The form of the graph that this engine takes, or runs fastest."""
        if self.device != 'cpu':
            return 'tensorrt'
        return 'onnxruntime' if self.name == 'onnxruntime' else 'openvino'

    @property
    def graph_precision(self) -> GraphPrecision:
        """What the graph is written in: OpenVINO is told of another precision beside it."""
        return 'f16' if self.precision == 'f16' and self.name != 'openvino' else 'f32'


@dataclass(frozen=True, slots=True)
class Task:
    """What an engine is built for."""

    checkpoint: Checkpoint
    batch: int
    """Frames per run."""
    size: Size
    """The network's input size, height and width [px]."""
    output_size: Size
    """Size of the ids [px]."""


def is_installed(name: EngineName) -> bool:
    """Tell whether an engine's library is there, without importing it."""
    return importlib.util.find_spec(name) is not None


def not_installed(name: EngineName, *, on_gpu: bool = False) -> str:
    """Return the line that says that an engine is missing, and what installs it."""
    if name == 'tensorrt' and _TEGRA.exists():
        line = 'sudo apt install python3-libnvinfer'
    elif name == 'onnxruntime' and on_gpu:
        line = 'pip install onnxruntime-gpu'
    else:
        line = f'pip install {_INSTALL[name]}'
    return f'Engine {name!r} is not installed: `{line}`.'


def require(name: EngineName) -> None:
    """Check that an engine is installed.

    Raises:
        EngineError: If not, with the line that installs it.
    """
    if not is_installed(name):
        raise EngineError(not_installed(name))


def engine_version(name: EngineName) -> str:
    """Return the version of an engine's library.

    Raises:
        EngineError: If it is not installed.
    """
    require(name)
    if name == 'tensorrt':  # apt's has no metadata
        version = getattr(importlib.import_module(name), '__version__', 'unknown')
        return str(version)
    found = []
    for distribution in (name, f'{name}-gpu'):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f'{distribution} {metadata.version(distribution)}')
    if name == 'torch':  # which CUDA it is built for, its metadata do not say
        found += _torch_builds()
    return ', '.join(found) or 'unknown'


def _torch_builds() -> list[str]:
    """Return the version that PyTorch's files name, 2.14.1+cu130, without importing it."""
    spec = importlib.util.find_spec('torch')
    if spec is None or spec.origin is None:
        return []
    try:
        text = Path(spec.origin).with_name('version.py').read_text(encoding='utf-8')
    except OSError:
        return []
    return re.findall(r"^__version__ = '(.+)'$", text, re.M)
