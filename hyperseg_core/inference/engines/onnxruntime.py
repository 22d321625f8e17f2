# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, on a CPU, CUDA or TensorRT.

Options are plain data made by functions of their own, so that what a GPU would be told can be
checked where there is none.
"""

import os
from pathlib import Path
from typing import Any

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import require
from hyperseg_core.inference.machine import cpu_threads

_ERRORS_ONLY = 3
"""ONNX Runtime's log level: its warnings are about graphs, not about what users do."""


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry, which writes an identifier and asks the network.

    The variable must be set before the import; the call is for versions that do not know it.
    """
    require('onnxruntime')
    os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def onnxruntime_providers(
    spec: EngineSpec, folder: Path | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return ONNX Runtime's execution providers and their options, best first."""
    index = int(spec.device.partition(':')[2] or 0)
    providers: list[tuple[str, dict[str, Any]]] = []
    if spec.use_tensorrt:
        options: dict[str, Any] = {
            'device_id': index,
            'trt_fp16_enable': spec.precision == 'f16',
            'trt_engine_cache_enable': folder is not None,
            'trt_timing_cache_enable': folder is not None,
        }
        if folder is not None:
            options['trt_engine_cache_path'] = str(folder)
            options['trt_timing_cache_path'] = str(folder)
        providers.append(('TensorrtExecutionProvider', options))
    if spec.device.startswith('cuda'):
        providers.append(
            (
                'CUDAExecutionProvider',
                {'device_id': index, 'cudnn_conv_algo_search': 'EXHAUSTIVE'},
            )
        )
    providers.append(('CPUExecutionProvider', {}))
    return providers


class OnnxRuntimeEngine:
    """ONNX Runtime with the provider that the specification asks for, first."""

    def __init__(self, graph: bytes, spec: EngineSpec, files: EngineFiles) -> None:
        """Load a serialised graph.

        Raises:
            EngineError: If the provider is not part of the installed ONNX Runtime.
        """
        onnxruntime = import_onnxruntime()
        folder = files.folder if spec.use_tensorrt else None
        providers = onnxruntime_providers(spec, folder)
        wanted = providers[0][0]
        if wanted not in onnxruntime.get_available_providers():
            msg = (
                f'The installed ONNX Runtime has no {wanted}: `pip install onnxruntime-gpu` '
                f'instead of onnxruntime, or use `device: cpu`.'
            )
            raise EngineError(msg)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpu_threads()
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(
            graph,
            options,
            providers=[name for name, _ in providers],
            provider_options=[option for _, option in providers],
        )
        if self._session.get_providers()[0] != wanted:
            msg = (
                f'ONNX Runtime could not start {wanted} and fell back to '
                f'{self._session.get_providers()[0]}; check that the CUDA libraries are found.'
            )
            raise EngineError(msg)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._on_gpu = spec.device.startswith('cuda')

    def run(self, frames: Bytes) -> tuple[Bytes, Bytes]:
        """Segment; see `Engine`."""
        if not self._on_gpu:
            ids, confidence = self._session.run(None, {self._input: frames})
            return ids, confidence
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, frames)
        for output in self._outputs:
            binding.bind_output(output)
        self._session.run_with_iobinding(binding)
        ids, confidence = binding.copy_outputs_to_cpu()
        return ids, confidence

    def close(self) -> None:
        """Release the session."""
        self._session = None
