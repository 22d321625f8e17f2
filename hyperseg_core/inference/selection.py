# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing an engine: TensorRT, then CUDA, then the fastest one for the CPU, and why."""

from dataclasses import dataclass
from typing import get_args

from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.engines import ENGINES
from hyperseg_core.inference.engines import EngineSpec
from hyperseg_core.inference.engines import Precision
from hyperseg_core.inference.engines import has_cuda
from hyperseg_core.inference.engines import is_installed

CHOICES = ('auto', 'tensorrt', *ENGINES)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to choose from."""

    has_cuda: bool
    has_bf16: bool
    """Whether the CPU multiplies bfloat16 matrices in hardware (AMX or AVX-512 BF16)."""
    providers: tuple[str, ...]
    """Execution providers of the installed ONNX Runtime."""
    installed: tuple[str, ...]
    """Engines whose libraries are there."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine to try, and why it comes here."""

    spec: EngineSpec
    reason: str


def this_machine() -> Machine:
    """Look at the machine."""
    providers: tuple[str, ...] = ()
    if is_installed('onnxruntime'):
        import onnxruntime

        providers = tuple(onnxruntime.get_available_providers())
    flags = _cpu_flags()
    return Machine(
        has_cuda=has_cuda(),
        has_bf16=bool({'amx_bf16', 'avx512_bf16'} & flags),
        providers=providers,
        installed=tuple(name for name in ENGINES if is_installed(name)),
    )


def _cpu_flags() -> set[str]:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            line = next((line for line in file if line.startswith('flags')), '')
    except OSError:
        return set()
    return set(line.split())


def candidates(engine: str, device: str, precision: str, machine: Machine) -> list[Candidate]:
    """List the engines to try, best first.

    Args:
        engine: One of `CHOICES`.
        device: `auto`, `cpu`, `gpu`, `cuda` or `cuda:N`.
        precision: `auto`, `f32`, `bf16` or `f16`; `auto` is f16 on GPUs, f32 on CPUs.
        machine: What there is.

    Raises:
        ConfigError: If a value is unknown, or nothing fits.
    """
    if engine not in CHOICES:
        msg = f'Unknown engine {engine!r}; known: {", ".join(CHOICES)}.'
        raise ConfigError(msg)
    if precision not in {'auto', *get_args(Precision)}:
        msg = f'Unknown precision {precision!r}; known: auto, {", ".join(get_args(Precision))}.'
        raise ConfigError(msg)
    if device not in {'auto', 'cpu', 'gpu'} and not device.startswith('cuda'):
        msg = f'Unknown device {device!r}; known: auto, cpu, gpu (Intel), cuda, cuda:N.'
        raise ConfigError(msg)
    found: list[Candidate] = []
    if device.startswith('cuda') or (device == 'auto' and machine.has_cuda):
        found += _gpu_candidates(
            engine, 'cuda' if device == 'auto' else device, precision, machine
        )
    if device == 'gpu':
        spec = EngineSpec('openvino', 'gpu', _precision(precision, 'f16'))
        found.append(Candidate(spec, 'an Intel GPU was asked for'))
    if device in {'auto', 'cpu'}:
        found += _cpu_candidates(engine, precision, machine)
    if not found:
        msg = (
            f'No engine for engine={engine!r}, device={device!r}, precision={precision!r} here: '
            f'installed are {", ".join(machine.installed)}; CUDA is '
            f'{"there" if machine.has_cuda else "not there"}. `hyperseg doctor` says more.'
        )
        raise ConfigError(msg)
    return found


def _precision(asked: str, default: Precision) -> Precision:
    choices: dict[str, Precision] = {'f32': 'f32', 'bf16': 'bf16', 'f16': 'f16'}
    return choices.get(asked, default)


def _gpu_candidates(engine: str, device: str, precision: str, machine: Machine) -> list[Candidate]:
    half = _precision(precision, 'f16')
    found = []
    if engine in {'auto', 'tensorrt'} and 'TensorrtExecutionProvider' in machine.providers:
        spec = EngineSpec('onnxruntime', device, half, use_tensorrt=True)
        found.append(Candidate(spec, 'TensorRT is the fastest on NVIDIA GPUs'))
    if engine in {'auto', 'onnxruntime'} and 'CUDAExecutionProvider' in machine.providers:
        # ONNX Runtime's CUDA provider computes in the precision of the graph.
        spec = EngineSpec('onnxruntime', device, 'f32')
        found.append(Candidate(spec, 'ONNX Runtime has CUDA'))
    if engine in {'auto', 'torch'}:
        found.append(Candidate(EngineSpec('torch', device, half), 'torch sees a CUDA device'))
    return found


def _cpu_candidates(engine: str, precision: str, machine: Machine) -> list[Candidate]:
    exact = _precision(precision, 'f32')
    found = []
    if engine in {'auto', 'openvino'} and ('openvino' in machine.installed or engine != 'auto'):
        reason = 'OpenVINO was the fastest on CPUs in docs/performance.md'
        found.append(Candidate(EngineSpec('openvino', 'cpu', exact), reason))
    if engine in {'auto', 'onnxruntime'} and (
        'onnxruntime' in machine.installed or engine != 'auto'
    ):
        reason = 'ONNX Runtime is faster than torch on CPUs'
        found.append(Candidate(EngineSpec('onnxruntime', 'cpu', 'f32'), reason))
    if engine in {'auto', 'torch'}:
        found.append(Candidate(EngineSpec('torch', 'cpu', exact), 'torch is always there'))
    return found
