# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg doctor`: what is installed, what it is for, and which engine `auto` would choose."""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
import importlib.util
import platform

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hyperseg_core.commands.hardware import described_gpus
from hyperseg_core.commands.hardware import found_version
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.cache import cache_root
from hyperseg_core.inference.engines import check_runs
from hyperseg_core.inference.machine import Machine
from hyperseg_core.inference.machine import this_machine
from hyperseg_core.inference.selection import candidates
from hyperseg_core.inference.selection import left_out


@dataclass(frozen=True, slots=True)
class Need:
    """An optional package and what needs it."""

    module: str
    purpose: str
    install: str
    """What to type where it is missing."""

    @property
    def found(self) -> str | None:
        """Its version; None where it is missing."""
        if importlib.util.find_spec(self.module) is None:
            return None
        for distribution in metadata.packages_distributions().get(self.module, []):
            return metadata.version(distribution)
        return found_version('tensorrt') if self.module == 'tensorrt' else 'installed'


def _extra(name: str) -> str:
    return f"pip install 'hyperseg_ros[{name}]'"


NEEDS = (
    Need(
        'tensorrt',
        'engine for NVIDIA GPUs',
        'pip install tensorrt; on a Jetson apt install python3-libnvinfer',
    ),
    Need('openvino', 'engine for CPUs and Intel GPUs', _extra('openvino')),
    Need('onnxruntime', 'engine for CPUs; onnxruntime-gpu: CUDA', _extra('onnxruntime')),
    Need('torch', 'network in PyTorch, CUDA engine, published weights', _extra('torch')),
    Need('timm', 'backbone in PyTorch', _extra('torch')),
    Need('pytorch_lightning', 'training', _extra('train')),
    Need('av', 'H.264 and HEVC packets of topics and bags', _extra('video')),
)


def doctor_command() -> None:
    """Print what is installed, what `auto` would choose, and why."""
    print_report(())


def print_report(needs: Sequence[Need], more: Sequence[tuple[str, str, str]] = ()) -> None:
    """Print the doctor's table.

    Args:
        needs: Optional packages beside the core's.
        more: Rows of what else was found: what, found, what it is for.
    """
    console = Console()
    machine = this_machine()
    table = Table('what', 'found', 'for')
    table.add_row('Python', platform.python_version(), '')
    for need in (*NEEDS, *needs):
        table.add_row(need.module, need.found or 'missing', need.purpose)
    driver = machine.driver
    table.add_row('CUDA devices', escape(described_gpus(driver)), 'engines on GPUs')
    state = 'broken' if driver.is_broken else 'none'
    table.add_row('NVIDIA driver', f'CUDA {driver.version}' if driver.version else state, '')
    bf16 = 'yes' if machine.has_bf16 else 'no'
    table.add_row('bfloat16 on the CPU', bf16, 'precision bf16')
    for row in more:
        table.add_row(*map(escape, row))
    table.add_row('engine cache', str(cache_root()), 'starts without building')
    console.print(table)
    for need in (*NEEDS, *needs):
        if need.found is None:
            line = f'{need.module} is missing ({need.purpose}): {need.install}'
            console.print(escape(line), soft_wrap=True)
    for line in _choices(machine):
        console.print(escape(line), soft_wrap=True)


def _choices(machine: Machine) -> Iterator[str]:
    """Say what `auto` would choose, in order, and why each of the others cannot run."""
    place = 0
    for candidate in candidates('auto', 'auto', 'auto', machine):
        try:
            check_runs(candidate.spec)
        except EngineError as error:
            yield f'auto leaves out {candidate.spec}: {error}'
            continue
        place += 1
        yield f'auto, choice {place}: {candidate.spec} ({candidate.reason})'
    for reason in left_out(machine):
        yield f'auto leaves out {reason}'
