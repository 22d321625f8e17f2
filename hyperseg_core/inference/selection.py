# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Choosing an engine: TensorRT, then CUDA, then the fastest one for the CPU, and why.

What is listed is installed for a device that is there; whether its libraries load is checked
when it is tried (`engines.check_runs`), as loading them all takes seconds.
"""

from dataclasses import dataclass
import re
from typing import get_args

from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.engine import ENGINES
from hyperseg_core.inference.engine import GPU_ENGINES
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Precision
from hyperseg_core.inference.engine import not_installed
from hyperseg_core.inference.machine import Machine
from hyperseg_core.inference.machine import this_machine as this_machine

CHOICES = ('auto', *ENGINES)
_DEVICES = re.compile(r'auto|cpu|gpu|cuda(:[0-9]+)?')


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine to try, and why it comes here."""

    spec: EngineSpec
    reason: str


def candidates(engine: str, device: str, precision: str, machine: Machine) -> list[Candidate]:
    """List the engines to try, best first.

    Args:
        engine: One of `CHOICES`.
        device: `auto`, `cpu`, `gpu`, `cuda` or `cuda:N`.
        precision: `auto`, `f32`, `bf16` or `f16`; `auto` is f16 on GPUs, and on CPUs bf16 where
            they multiply it in hardware, then f32.
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
    if not _DEVICES.fullmatch(device):
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
        installed = ', '.join(machine.installed) or 'none; `pip install openvino`'
        msg = (
            f'No engine for engine={engine!r}, device={device!r}, precision={precision!r} here: '
            f'installed: {installed}; CUDA: {_cuda(machine)}. `hyperseg doctor` says more.'
        )
        raise ConfigError(msg)
    return found


def _cuda(machine: Machine) -> str:
    return machine.driver.absence or ', '.join(item.name for item in machine.driver.devices)


def left_out(machine: Machine) -> list[str]:
    """Say which engines for GPUs `auto` does not even try, and why."""
    if not machine.has_cuda:
        return [f'tensorrt, and CUDA by torch and onnxruntime: {machine.driver.absence}.']
    return [
        f'{name} on cuda: {not_installed(name, on_gpu=True)}'
        for name in GPU_ENGINES
        if name not in machine.installed
    ]


def cpu_candidates(machine: Machine) -> list[Candidate]:
    """List the exact engines for the CPU, best first; none where none is installed."""
    return _cpu_candidates('auto', 'f32', machine)


def _precision(asked: str, default: Precision) -> Precision:
    choices: dict[str, Precision] = {'f32': 'f32', 'bf16': 'bf16', 'f16': 'f16'}
    return choices.get(asked, default)


def _gpu_candidates(engine: str, device: str, precision: str, machine: Machine) -> list[Candidate]:
    half = _precision(precision, 'f16')
    choices: tuple[tuple[EngineSpec, str], ...] = (
        (EngineSpec('tensorrt', device, half), 'TensorRT is the fastest on NVIDIA GPUs'),
        (EngineSpec('torch', device, half), 'torch replays a CUDA graph'),
        (EngineSpec('onnxruntime', device, half), 'ONNX Runtime has CUDA'),
    )
    return [
        Candidate(spec, reason)
        for spec, reason in choices
        # Graphs are written in float32 or float16.
        if (half != 'bf16' or spec.name == 'torch')
        and (engine == spec.name or (engine == 'auto' and spec.name in machine.installed))
    ]


def _cpu_candidates(engine: str, precision: str, machine: Machine) -> list[Candidate]:
    exact = _precision(precision, 'f32')
    # ONNX Runtime computes in the precision of the graph.
    choices: list[tuple[EngineSpec, str]] = [
        (EngineSpec('openvino', 'cpu', exact), 'OpenVINO is the fastest on CPUs'),
        (EngineSpec('onnxruntime', 'cpu', 'f32'), 'ONNX Runtime is faster than torch on CPUs'),
        (EngineSpec('torch', 'cpu', exact), 'torch is installed'),
    ]
    if precision == 'auto' and machine.has_bf16:
        reason = 'OpenVINO is the fastest on CPUs, and this one multiplies bfloat16'
        choices.insert(0, (EngineSpec('openvino', 'cpu', 'bf16'), reason))
    return [
        Candidate(spec, reason)
        for spec, reason in choices
        if engine == spec.name or (engine == 'auto' and spec.name in machine.installed)
    ]
