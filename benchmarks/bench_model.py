# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The eager network per preset: milliseconds, peak memory, parameters and MACs.

Weights are calibrated: batch norms have seen smooth images, so that no denormals slow the CPU.
Every preset is measured in a process of its own, so that its peak memory is its own.
"""

import argparse
from collections.abc import Sequence
import json
from pathlib import Path
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hyperseg_core import build_model
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.model.config import preset_names
from hyperseg_core.model.hyperseg import HyperSeg

# As published: millions of parameters, GMACs.
PUBLISHED = {
    'vocsbd-l': (39.68, 7.83),
    'cityscapes-m': (10.31, 7.69),
    'cityscapes-s': (10.04, 16.32),
    'camvid-s': (9.95, 6.04),
    'camvid-l': (9.97, 12.26),
}


def calibrate(model: HyperSeg, *, steps: int = 4) -> HyperSeg:
    """Let the batch norms see smooth random images, so that activations keep their scale."""
    generator = torch.Generator().manual_seed(0)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 0.5
    model.train()
    side = 2 * model.config.stride
    with torch.no_grad():
        for _ in range(steps):
            coarse = torch.randn((2, 3, side // 16, side // 16), generator=generator)
            model(functional.interpolate(coarse, (side, side), mode='bicubic'))
    return model.eval()


def measure(preset: str, runs: int) -> dict[str, Any]:
    """Measure one preset in this process."""
    model = calibrate(build_model(preset))
    images = torch.randn((1, 3, *model.config.size))
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(images)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    durations = []
    with torch.inference_mode():
        for _ in range(runs):
            start_s = time.perf_counter()
            model(images)
            durations.append(1000 * (time.perf_counter() - start_s))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        'preset': preset,
        'size': list(model.config.size),
        'parameters_m': sum(p.numel() for p in model.parameters()) / 1e6,
        'gmacs': counter.get_total_flops() / 2e9,
        'p50_ms': float(np.percentile(durations, 50)),
        'p95_ms': float(np.percentile(durations, 95)),
        'peak_mib': max(before_kib, peak_kib) / 1024,
    }


def render(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table as Markdown."""
    lines = [
        '| preset | input | params M (published) | GMACs (published) '
        '| p50 ms | p95 ms | peak MiB |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    for row in rows:
        params, gmacs = PUBLISHED.get(row['preset'], (None, None))
        lines.append(
            f'| {row["preset"]} | {row["size"][0]}x{row["size"][1]} '
            f'| {row["parameters_m"]:.2f} ({params or "-"}) | {row["gmacs"]:.2f} ({gmacs or "-"}) '
            f'| {row["p50_ms"]:.0f} | {row["p95_ms"]:.0f} | {row["peak_mib"]:.0f} |'
        )
    return '\n'.join(lines)


def main() -> None:
    """Measure every preset, each in a process of its own, and check the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--preset', help='measure this one, here, and print JSON')
    parser.add_argument('--runs', type=int, default=10)
    parser.add_argument('--output', type=Path, help='Markdown file for the table')
    options = parser.parse_args()
    if options.preset:
        print(json.dumps(measure(options.preset, options.runs)))
        return
    rows = []
    for preset in preset_names():
        command = [sys.executable, __file__, '--preset', preset, '--runs', str(options.runs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(render(rows[-1:]).splitlines()[-1], flush=True)
    for row in rows:
        for found, expected in zip(
            (row['parameters_m'], row['gmacs']), PUBLISHED.get(row['preset'], ()), strict=False
        ):
            assert abs(found / expected - 1) < 0.01, (
                f'{row["preset"]}: {found}, published {expected}'
            )
    machine = ', '.join(f'{key} {value}' for key, value in describe_machine().items())
    text = (
        f'{render(rows)}\n\nEager, batch 1, {options.runs} runs, calibrated weights; {machine}.\n'
    )
    print(text)
    if options.output:
        options.output.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
