# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path

import pytest

from hyperseg_core import ConfigError
from hyperseg_core import Segmenter
from hyperseg_core.inference import engine
from hyperseg_core.inference.cuda_driver import CudaDevice
from hyperseg_core.inference.cuda_driver import DriverState
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engines.onnxruntime import onnxruntime_providers
from hyperseg_core.inference.engines.openvino import openvino_options
from hyperseg_core.inference.engines.tensorrt_builder import builder_options
from hyperseg_core.inference.machine import Machine
from hyperseg_core.inference.selection import candidates
from hyperseg_core.inference.selection import cpu_candidates
from hyperseg_core.inference.selection import left_out


@pytest.mark.parametrize(
    ('options', 'match'),
    [
        ({'engine': 'onnx'}, r"Unknown engine 'onnx'; known: auto, tensorrt"),
        ({'precision': 'int8'}, r"Unknown precision 'int8'"),
        ({'device': 'tpu'}, r"Unknown device 'tpu'"),
        ({'device': 'cuda:abc'}, r"Unknown device 'cuda:abc'; known: .*cuda, cuda:N"),
        ({'device': 'cudart'}, r"Unknown device 'cudart'"),
        ({'engine': 'tensorrt', 'device': 'cpu'}, r'No engine for .*hyperseg doctor'),
    ],
)
def test_impossible_choices_are_explained(
    options: dict[str, str], match: str, small_checkpoint: Path
) -> None:
    with pytest.raises(ConfigError, match=match):
        Segmenter(small_checkpoint, **options)  # type: ignore[arg-type]


GPU = Machine(
    driver=DriverState((CudaDevice('Fake GPU', (8, 7)),), '13.0'),
    has_bf16=False,
    installed=('tensorrt', 'torch', 'onnxruntime', 'openvino'),
)
BARE = Machine(
    driver=DriverState(absence='no NVIDIA driver'), has_bf16=False, installed=('torch',)
)


def order(*asked: str, machine: Machine = GPU) -> list[str]:
    return [str(candidate.spec) for candidate in candidates(*asked, machine)]


def test_auto_takes_tensorrt_then_cuda_then_the_fastest_on_the_cpu() -> None:
    assert order('auto', 'auto', 'auto') == [
        'tensorrt on cuda, f16', 'torch on cuda, f16', 'onnxruntime on cuda, f16',
        'openvino on cpu, f32', 'onnxruntime on cpu, f32', 'torch on cpu, f32',
    ]  # fmt: skip
    assert order('auto', 'auto', 'auto', machine=BARE) == ['torch on cpu, f32']


def test_auto_is_bfloat16_where_the_processor_multiplies_it() -> None:
    fast = dataclasses.replace(BARE, has_bf16=True, installed=('openvino', 'onnxruntime'))
    expected = ['openvino on cpu, bf16', 'openvino on cpu, f32', 'onnxruntime on cpu, f32']
    assert order('auto', 'auto', 'auto', machine=fast) == expected
    assert order('openvino', 'cpu', 'auto', machine=fast) == expected[:2]
    assert order('auto', 'auto', 'f32', machine=fast) == expected[1:]
    # What others are compared with, and what stands by, is exact.
    assert [str(item.spec) for item in cpu_candidates(fast)] == expected[1:]


def test_what_is_asked_for_is_taken_alone() -> None:
    assert order('tensorrt', 'auto', 'f32') == ['tensorrt on cuda, f32']
    assert order('torch', 'cuda:1', 'bf16') == ['torch on cuda:1, bf16']
    assert order('onnxruntime', 'auto', 'auto') == [
        'onnxruntime on cuda, f16', 'onnxruntime on cpu, f32',
    ]  # fmt: skip
    # Graphs are written in float32 or float16.
    assert order('auto', 'cuda', 'bf16') == ['torch on cuda, bf16']


def test_refusal_of_a_choice_says_what_the_driver_said() -> None:
    broken = dataclasses.replace(BARE, driver=DriverState(absence='cuInit failed', is_broken=True))
    with pytest.raises(ConfigError, match=r"engine='tensorrt'.*CUDA: cuInit failed"):
        candidates('tensorrt', 'auto', 'auto', broken)


def test_what_auto_does_not_even_try_is_said_with_the_reason() -> None:
    assert left_out(GPU) == []
    assert left_out(BARE) == ['tensorrt, and CUDA by torch and onnxruntime: no NVIDIA driver.']
    bare_gpu = dataclasses.replace(GPU, installed=('torch', 'openvino'))
    assert left_out(bare_gpu) == [
        "tensorrt on cuda: Engine 'tensorrt' is not installed: `pip install tensorrt`.",
        "onnxruntime on cuda: Engine 'onnxruntime' is not installed: "
        '`pip install onnxruntime-gpu`.',
    ]


def test_jetson_gets_tensorrt_from_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, '_TEGRA', Path(__file__))
    assert engine.not_installed('tensorrt').endswith('`sudo apt install python3-libnvinfer`.')


def test_options_for_a_gpu_are_right_without_one() -> None:
    spec = EngineSpec('onnxruntime', 'cuda:1', 'f16')
    providers = onnxruntime_providers(spec)
    assert [name for name, _ in providers] == ['CUDAExecutionProvider', 'CPUExecutionProvider']
    assert providers[0][1] == {
        'device_id': 1, 'cudnn_conv_algo_search': 'EXHAUSTIVE', 'use_tf32': 1,
    }  # fmt: skip
    exact = EngineSpec('onnxruntime', 'cuda', 'f32')
    assert onnxruntime_providers(exact)[0][1]['use_tf32'] == 0
    assert (spec.form, spec.graph_precision) == ('tensorrt', 'f16')
    assert builder_options(EngineSpec('tensorrt', 'cuda', 'f16')).allows_tf32
    assert not builder_options(EngineSpec('tensorrt', 'cuda', 'f32')).allows_tf32
    assert openvino_options(EngineSpec('openvino', 'gpu', 'f16')) == {
        'PERFORMANCE_HINT': 'LATENCY',
        'INFERENCE_PRECISION_HINT': 'f16',
    }
    # OpenVINO is told of the precision beside a graph in float32.
    assert EngineSpec('openvino', 'gpu', 'f16').graph_precision == 'f32'
