# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One module for each engine; its library is imported when it is used.

Each has `check_runs`, which tells before anything is written or built whether the engine can run.
"""

from collections.abc import Callable
from collections.abc import Mapping
import importlib
from types import ModuleType

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineName
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engine import require
from hyperseg_core.inference.profile import NodeTimes

GraphEngine = Callable[[bytes, EngineSpec, EngineFiles], Engine]
"""Makes an engine of a serialised graph."""
_CLASSES: Mapping[EngineName, str] = {
    'onnxruntime': 'OnnxRuntimeEngine',
    'openvino': 'OpenVinoEngine',
    'tensorrt': 'TensorRtEngine',
}
_PROFILED: Mapping[EngineName, tuple[str, ...]] = {
    'onnxruntime': ('cpu',),
    'openvino': ('cpu', 'gpu'),
    'torch': ('cpu',),
}
"""Engines that can be asked what took how long, and on which devices."""


def check_runs(spec: EngineSpec) -> None:
    """Check that an engine can run here: its libraries load, its device is there.

    Raises:
        EngineError: If not, with the reason; `lost` where a driver is there and fails.
    """
    require(spec.name)
    if spec.is_cuda:  # first, as libraries do not tell a GPU that is lost from none
        state = driver_state()
        if spec.cuda_index >= len(state.devices):
            reason = state.absence or f'there are {len(state.devices)} device(s), from cuda:0 on'
            msg = f'{spec} cannot run: {reason}; use `device: cpu`, or another of them.'
            raise EngineError(msg, lost=state.is_broken)
    try:
        _module(spec.name).check_runs(spec)
    except (ImportError, OSError) as err:
        msg = f'Engine {spec.name!r} is installed, but does not load: {err}.'
        raise EngineError(msg) from err


def graph_engine(name: EngineName) -> GraphEngine:
    """Return the class of an engine that runs the deployable graph."""
    engine: GraphEngine = getattr(_module(name), _CLASSES[name])
    return engine


def node_times(task: Task, spec: EngineSpec, frames: Bytes, runs: int) -> NodeTimes:
    """Let an engine run frames, and ask it how long each of its nodes took.

    Args:
        task: What it is built for.
        spec: The engine.
        frames: (B, H, W, 3) uint8, of the task's batch and size.
        runs: Runs that count, after some for warming up.

    Raises:
        ConfigError: If the engine cannot be asked.
        EngineError: If it cannot run, or fails.
    """
    if spec.device not in _PROFILED.get(spec.name, ()):
        known = ', '.join(
            f'{name} on {" or ".join(devices)}' for name, devices in _PROFILED.items()
        )
        msg = f'{spec} keeps no profile that is read here; known: {known}: add `--device cpu`'
        if spec.name == 'tensorrt':
            msg += ' and another `--engine`, or run `hyperseg export` and `trtexec --dumpProfile`'
        raise ConfigError(f'{msg}.')
    check_runs(spec)
    times: NodeTimes = _module(f'{spec.name}_profile').node_times(task, spec, frames, runs)
    return times


def _module(name: str) -> ModuleType:
    return importlib.import_module(f'{__name__}.{name}')
