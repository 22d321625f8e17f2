# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from hyperseg_core import ConfigError
from hyperseg_core import Segmenter
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engines.onnxruntime import onnxruntime_providers
from hyperseg_core.inference.engines.openvino import openvino_options
from hyperseg_core.inference.machine import Machine
from hyperseg_core.inference.selection import candidates


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        ({'engine': 'onnx'}, r"Unknown engine 'onnx'; known: auto, tensorrt"),
        ({'precision': 'int8'}, r"Unknown precision 'int8'"),
        ({'device': 'tpu'}, r"Unknown device 'tpu'"),
        ({'engine': 'tensorrt', 'device': 'cpu'}, r'No engine for .*hyperseg doctor'),
    ],
)
def test_impossible_choices_are_explained(
    options: dict[str, str], match: str, small_checkpoint: Path
) -> None:
    with pytest.raises(ConfigError, match=match):
        Segmenter(small_checkpoint, **options)  # type: ignore[arg-type]


GPU = Machine(
    has_cuda=True,
    has_bf16=False,
    providers=('TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider'),
    installed=('torch', 'onnxruntime', 'openvino'),
)


def test_auto_takes_tensorrt_then_cuda_then_the_fastest_on_the_cpu() -> None:
    order = [str(candidate.spec) for candidate in candidates('auto', 'auto', 'auto', GPU)]
    assert order == [
        'tensorrt (onnxruntime) on cuda, f16', 'onnxruntime on cuda, f32', 'torch on cuda, f16',
        'openvino on cpu, f32', 'onnxruntime on cpu, f32', 'torch on cpu, f32',
    ]  # fmt: skip
    bare = Machine(has_cuda=False, has_bf16=False, providers=(), installed=('torch',))
    assert [c.spec.name for c in candidates('auto', 'auto', 'auto', bare)] == ['torch']


def test_options_for_a_gpu_are_right_without_one(tmp_path: Path) -> None:
    spec = EngineSpec('onnxruntime', 'cuda:1', 'f16', use_tensorrt=True)
    providers = onnxruntime_providers(spec, tmp_path)
    assert [name for name, _ in providers] == list(GPU.providers)
    options = providers[0][1]
    assert options['device_id'] == 1
    assert options['trt_fp16_enable'] is True
    assert options['trt_engine_cache_path'] == options['trt_timing_cache_path'] == str(tmp_path)
    assert spec.form == 'tensorrt'
    assert openvino_options(EngineSpec('openvino', 'gpu', 'f16')) == {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_PRECISION_HINT': 'f16',
    }
