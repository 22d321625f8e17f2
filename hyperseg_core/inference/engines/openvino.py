# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO, on a CPU or an Intel GPU."""

import sys
from typing import Any

import numpy as np

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import require
from hyperseg_core.inference.machine import cpu_threads
from hyperseg_core.inference.machine import cpus_allowed

_BLOB = 'openvino.blob'


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry: it falls back to a stub where that is missing."""
    require('openvino')
    missing = object()
    known = sys.modules.get('openvino_telemetry', missing)
    sys.modules['openvino_telemetry'] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules['openvino_telemetry']
        if known is not missing:
            sys.modules['openvino_telemetry'] = known  # type: ignore[assignment]
    return openvino


def openvino_options(spec: EngineSpec) -> dict[str, Any]:
    """Return the properties that OpenVINO compiles with."""
    options: dict[str, Any] = {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_PRECISION_HINT': spec.precision,
    }
    if spec.device == 'cpu':
        options['INFERENCE_NUM_THREADS'] = cpu_threads()
        if cpu_threads() < cpus_allowed():
            # Each process would pin its threads to the first CPUs, and two share one.
            options['ENABLE_CPU_PINNING'] = False
    return options


def check_runs(spec: EngineSpec) -> None:
    """Check that OpenVINO loads.

    Raises:
        EngineError: If it is not installed.
    """
    import_openvino()


class OpenVinoEngine:
    """Compiles a graph, or takes what it compiled before."""

    def __init__(self, graph: bytes, spec: EngineSpec, files: EngineFiles) -> None:
        """Compile a serialised graph.

        Raises:
            EngineError: If OpenVINO has no such device or cannot compile the graph.
        """
        openvino = import_openvino()
        core = openvino.Core()
        device = {'cpu': 'CPU', 'gpu': 'GPU'}.get(spec.device)
        if device is None or not any(name.startswith(device) for name in core.available_devices):
            msg = (
                f'OpenVINO has no device {spec.device!r} here, only '
                f'{", ".join(core.available_devices)}; use `device: cpu`.'
            )
            raise EngineError(msg)
        options = openvino_options(spec)
        blob = files.read(_BLOB)
        try:
            if blob is not None:
                model = core.import_model(blob, device, options)
            else:
                model = core.compile_model(core.read_model(graph), device, options)
        except RuntimeError as err:
            msg = f'OpenVINO cannot compile the graph: {err}.'
            raise EngineError(msg) from err
        if blob is None:
            files.write(_BLOB, bytes(model.export_model().getbuffer()))
        self._request = model.create_infer_request()
        # Its own memory: wrapping what is given anew for each frame takes 0.2 ms.
        self._frames = self._request.get_input_tensor(0).data

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        if frames.shape != self._frames.shape:  # copying would stretch what is smaller
            msg = f'OpenVINO was compiled for frames {self._frames.shape}, not {frames.shape}.'
            raise EngineError(msg)
        np.copyto(self._frames, frames)
        self._request.infer(share_outputs=True)
        ids, confidence = (self._request.get_output_tensor(index).data for index in range(2))
        return ids.copy(), confidence.copy()

    def close(self) -> None:
        """Release the request."""
        self._request = self._frames = None
