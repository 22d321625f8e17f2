# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One module for each engine; its library is imported when it is used."""

from collections.abc import Callable
from collections.abc import Mapping
import importlib

from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineName
from hyperseg_core.inference.engine import EngineSpec

GraphEngine = Callable[[bytes, EngineSpec, EngineFiles], Engine]
"""Makes an engine of a serialised graph."""
_CLASSES: Mapping[EngineName, str] = {
    'onnxruntime': 'OnnxRuntimeEngine',
    'openvino': 'OpenVinoEngine',
}


def graph_engine(name: EngineName) -> GraphEngine:
    """Return the class of an engine that runs the deployable graph."""
    module = importlib.import_module(f'{__name__}.{name}')
    engine: GraphEngine = getattr(module, _CLASSES[name])
    return engine
