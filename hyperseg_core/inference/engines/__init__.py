# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One module for each engine; its library is imported when it is used.

Each has `check_runs`, which tells before anything is written or built whether the engine can run.
"""

from collections.abc import Callable
from collections.abc import Mapping
import importlib
from types import ModuleType

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineName
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import require

GraphEngine = Callable[[bytes, EngineSpec, EngineFiles], Engine]
"""Makes an engine of a serialised graph."""
_CLASSES: Mapping[EngineName, str] = {
    'onnxruntime': 'OnnxRuntimeEngine',
    'openvino': 'OpenVinoEngine',
    'tensorrt': 'TensorRtEngine',
}


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


def _module(name: EngineName) -> ModuleType:
    return importlib.import_module(f'{__name__}.{name}')
