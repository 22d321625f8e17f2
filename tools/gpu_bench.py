# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is timed on a GPU: the same network in several ways, numpy to numpy, in turns."""

from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import time
from typing import Any

import numpy as np
from plain import PlainHyperSeg
import torch

from hyperseg_core import Checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.errors import EngineError
from hyperseg_core.inference import preparation
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import check_runs
from hyperseg_core.inference.engines.torch_cuda import CudaRunner
from hyperseg_core.inference.engines.torch_network import FrameSegmentation

Size = tuple[int, int]
Runner = Callable[[np.ndarray], np.ndarray]
"""Frames (1, H, W, 3) to ids (1, H, W)."""
PLAIN, HALF_GRAPH = 'plain eager f32', 'torch half graph'
_TURNS = 10
_CAMERAS = 6


def variants(
    checkpoint: Checkpoint, size: Size, device: str, *, use_tensorrt: bool = False
) -> dict[str, Callable[[], Runner]]:
    """Return how to make each variant that can run here; engines pass their gate."""
    task = Task(checkpoint, 1, size, size)
    found: dict[str, Callable[[], Runner]] = {
        PLAIN: lambda: _plain(checkpoint, device),
        'torch f32': lambda: _engine(task, EngineSpec('torch', device, 'f32')),
    }
    if device == 'cpu':
        return found
    found['torch half eager'] = lambda: _half_eager(task, device)
    specs = {HALF_GRAPH: 'torch', 'onnxruntime half': 'onnxruntime'}
    specs |= {'tensorrt half': 'tensorrt'} if use_tensorrt else {}
    for label, name in specs.items():
        spec = EngineSpec(name, device, 'f16')  # type: ignore[arg-type]
        with contextlib.suppress(EngineError):
            check_runs(spec)
            found[label] = lambda spec=spec: _engine(task, spec)  # type: ignore[misc]
    return found


def measure(
    checkpoint: Checkpoint, size: Size, device: str, runs: int, *, use_tensorrt: bool = False
) -> dict[str, Any]:
    """Time all variants at a size in turns, after their ids were compared."""
    frames = np.stack(
        [DriveScene(seed, height=size[0], width=size[1]).frame(2.0).image for seed in range(2)]
    )[:, None]
    rows: dict[str, Any] = {}
    runners: dict[str, Runner] = {}
    expected: np.ndarray | None = None
    for name, create in variants(checkpoint, size, device, use_tensorrt=use_tensorrt).items():
        before = _used_mib(device)
        try:
            runners[name] = create()
            ids = runners[name](frames[0])
        except (EngineError, RuntimeError) as error:
            runners.pop(name, None)
            rows[name] = {'failed': str(error)}
            continue
        expected = ids if expected is None else expected
        rows[name] = {
            'agreement': float((ids == expected).mean()),
            'memory_mib': round(_used_mib(device) - before, 1),
            'launches': num_launches(runners[name], frames[0], device),
        }
    times: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(_TURNS):
        for name, run in runners.items():
            run(frames[0])
            for index in range(max(1, runs // _TURNS)):
                start_s = time.perf_counter()
                run(frames[(turn + index) % 2])
                times[name].append(1000 * (time.perf_counter() - start_s))
    for name, durations in times.items():
        rows[name] |= percentiles(durations)
    return rows


def batches(checkpoint: Checkpoint, size: Size, device: str, runs: int) -> dict[str, float]:
    """Time six cameras' frames one by one beside one batch of them [ms]: what `Segmenter` does."""
    spec = EngineSpec('torch', device, 'f32' if device == 'cpu' else 'f16')
    frame = DriveScene(1, height=size[0], width=size[1]).frame(2.0).image
    frames = np.stack([frame] * _CAMERAS)
    engines = {
        count: preparation.prepare(Task(checkpoint, count, size, size), spec)
        for count in (1, _CAMERAS)
    }
    times: dict[int, list[float]] = {count: [] for count in engines}
    for _ in range(runs + 1):
        for count, engine in engines.items():
            start_s = time.perf_counter()
            for first in range(0, _CAMERAS, count):
                engine.run(frames[first : first + count])
            times[count].append(1000 * (time.perf_counter() - start_s))
    one, together = (round(float(np.median(times[count][1:])), 3) for count in engines)
    return {'one by one': one, 'a batch': together}


def percentiles(durations: list[float]) -> dict[str, float]:
    """Return p50 and p99 [ms] and their number."""
    p50, p99 = np.percentile(durations, (50, 99))
    return {'p50_ms': round(float(p50), 3), 'p99_ms': round(float(p99), 3), 'n': len(durations)}


def num_launches(run: Runner, frames: np.ndarray, device: str) -> int | None:
    """Count what the host asks of the GPU for a frame; None where it cannot be counted."""
    if device == 'cpu':
        return None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        run(frames)
    counts: Mapping[str, int] = {item.key: item.count for item in profile.key_averages()}
    asked = ('cudaLaunchKernel', 'cuLaunchKernel', 'cudaGraphLaunch', 'cudaMemcpyAsync')
    return sum(count for key, count in counts.items() if key.startswith(asked)) or None


def bandwidth(device: str) -> dict[str, float]:
    """Measure copies [GB/s]: on the device, and between it and pinned memory."""
    count = (1 << 28) if device != 'cpu' else (1 << 24)
    there = torch.zeros(count, dtype=torch.uint8, device=device)
    pairs = {'device': (there, torch.empty_like(there), 2)}
    if device != 'cpu':
        pinned = torch.empty(count, dtype=torch.uint8, pin_memory=True)
        pairs |= {'to device': (pinned, there, 1), 'from device': (there, pinned, 1)}
    return {name: round(_copied_gb_s(*pair), 1) for name, pair in pairs.items()}


def _copied_gb_s(source: torch.Tensor, target: torch.Tensor, passes: int) -> float:
    best = 0.0
    for _ in range(5):
        _wait()
        start_s = time.perf_counter()
        target.copy_(source, non_blocking=True)
        _wait()
        best = max(best, passes * source.numel() / (time.perf_counter() - start_s) / 1e9)
    return best


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _used_mib(device: str) -> float:
    if device == 'cpu':
        return 0.0
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**20


def _plain(checkpoint: Checkpoint, device: str) -> Runner:
    network = PlainHyperSeg(checkpoint.model).eval().to(device)
    if device != 'cpu':  # float32 is float32, as in our own engine
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    # Void, the output beyond the labels, is published as unlabelled.
    publish = np.where(np.arange(256) < len(checkpoint.label_set), np.arange(256), 255)

    def run(frames: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            ids = network(torch.from_numpy(frames).to(device)).to(torch.uint8)
        return publish[ids.cpu().numpy()]

    return run


def _engine(task: Task, spec: EngineSpec) -> Runner:
    engine = preparation.prepare(task, spec)
    return lambda frames: engine.run(frames)[0]


def _half_eager(task: Task, device: str) -> Runner:
    checkpoint = task.checkpoint
    network = FrameSegmentation(
        checkpoint.model, len(checkpoint.label_set), task.size, task.output_size, torch.float16
    ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    runner = CudaRunner(network, task, torch.device(device), use_graph=False)
    return lambda frames: runner.run(frames)[0]
