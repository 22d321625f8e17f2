# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's account of its operators; it knows no parts of the network."""

import os
import time

import torch

from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines.torch import TorchEngine
from hyperseg_core.inference.profile import NodeTime
from hyperseg_core.inference.profile import NodeTimes

_WARM_UP = 3


def node_times(task: Task, spec: EngineSpec, frames: Bytes, runs: int) -> NodeTimes:
    """Run frames; see `engines.node_times`. Operators are summed up already."""
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')  # its C++ logs every start, and missing GPUs
    engine = TorchEngine(task, spec)
    for _ in range(_WARM_UP):
        engine.run(frames)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        start_s = time.perf_counter()
        for _ in range(runs):
            engine.run(frames)
        run_ms = 1000 * (time.perf_counter() - start_s) / runs
    engine.close()
    nodes = [
        NodeTime(
            '',
            item.key.removeprefix('aten::'),
            '',
            item.self_cpu_time_total / 1000 / runs,
            count=item.count / runs,
        )
        for item in profiler.key_averages()
    ]
    return NodeTimes(tuple(nodes), run_ms, has_parts=False)
