# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's engine for CUDA, as far as it goes without a GPU.

Devices of tensors are proven with fake tensors on `cuda`; memory and replay with a stand-in for
torch.cuda on the CPU.
"""

import functools
import subprocess
import sys
from typing import Any
import weakref

from cuda_on_cpu import Capture
from cuda_on_cpu import Graph
from cuda_on_cpu import Stream
from cuda_on_cpu import pretend
import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from hyperseg_core import Checkpoint
from hyperseg_core import EngineError
from hyperseg_core import HyperSeg
from hyperseg_core import build_model
from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import torch_cuda
from hyperseg_core.inference.engines.torch import has_kernels
from hyperseg_core.inference.engines.torch_cuda import CudaRunner
from hyperseg_core.inference.engines.torch_network import DTYPES
from hyperseg_core.inference.engines.torch_network import FrameSegmentation
from hyperseg_core.model.config import preset_names

CPU = torch.device('cpu')
SIZE, OUTPUT = (128, 256), (120, 250)


def move_to_fake_cuda(module: nn.Module) -> None:
    """Replace parameters and buffers, and nothing else, by fakes on `cuda`."""
    for part in module.modules():
        for name, value in part.named_parameters(recurse=False):
            moved = torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device='cuda'
            )
            part._parameters[name] = nn.Parameter(moved, requires_grad=False)
        for name, value in part.named_buffers(recurse=False):
            part._buffers[name] = torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device='cuda'
            )


class Devices(TorchDispatchMode):
    """Remembers the operators that touch a tensor that is not on CUDA, and all types."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: list[str] = []
        self.convolved: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        tensors = [
            leaf
            for leaf in pytree.tree_leaves((args, kwargs, found))
            if isinstance(leaf, torch.Tensor)
        ]
        if any(tensor.device.type != 'cuda' for tensor in tensors):
            self.elsewhere.append(str(func))
        if 'convolution' in str(func) or 'bmm' in str(func):
            self.convolved |= {tensor.dtype for tensor in tensors}
        return found


@functools.lru_cache(maxsize=1)
def random_model(preset: str) -> HyperSeg:
    torch.manual_seed(0)
    return build_model(preset).eval()


@pytest.mark.parametrize('precision', DTYPES)
@pytest.mark.parametrize('preset', preset_names())
def test_no_tensor_of_a_frame_is_on_the_cpu(preset: str, precision: str) -> None:
    dtype = DTYPES[precision]  # type: ignore[index]
    network = FrameSegmentation(random_model(preset), 11, SIZE, OUTPUT, dtype)
    with FakeTensorMode(), torch.inference_mode(), Devices() as devices:
        move_to_fake_cuda(network)
        frames = torch.zeros((2, *SIZE, 3), dtype=torch.uint8, device='cuda')
        devices.elsewhere.clear()
        ids, confidence = network(frames)
    assert not devices.elsewhere
    assert devices.convolved == {dtype}
    assert ids.device.type == confidence.device.type == 'cuda'
    assert ids.dtype == confidence.dtype == torch.uint8
    assert ids.shape == confidence.shape == (2, *OUTPUT)


def test_a_constant_that_is_no_buffer_would_be_found() -> None:
    network = FrameSegmentation(build_model('lite0').eval(), 11, SIZE, OUTPUT, torch.float16)
    mean = network.mean
    del network.mean
    network.mean = mean
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode(), Devices() as devices:
        move_to_fake_cuda(network)
        devices.elsewhere.clear()
        with pytest.raises(RuntimeError, match=r'cuda.*cpu'):
            network(torch.zeros((1, *SIZE, 3), dtype=torch.uint8, device='cuda'))


@pytest.fixture(scope='module')
def checkpoint() -> Checkpoint:
    return load_checkpoint('fast')


def network_of(checkpoint: Checkpoint, precision: str, batch: int = 1) -> tuple[nn.Module, Task]:
    size = checkpoint.config.size
    task = Task(checkpoint, batch, size, size)
    dtype = DTYPES[precision]  # type: ignore[index]
    network = FrameSegmentation(checkpoint.model, len(checkpoint.label_set), size, size, dtype).to(
        memory_format=torch.channels_last
    )  # type: ignore[call-overload]
    return network, task


def streets(checkpoint: Checkpoint, count: int) -> np.ndarray:
    height, width = checkpoint.config.size
    scenes = [DriveScene(seed, height=height, width=width) for seed in range(count)]
    return np.stack([scene.frame(2.0).image for scene in scenes])


def test_replay_with_fresh_frames_gives_fresh_answers(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    network, task = network_of(checkpoint, 'f32')
    runner = CudaRunner(network, task, CPU)
    assert runner.has_graph
    assert Capture.modes == ['thread_local']
    answers = []
    for frame in streets(checkpoint, 3):
        ids, confidence = runner.run(frame[None])
        with torch.inference_mode():
            expected = [value.numpy() for value in network(torch.from_numpy(frame[None]))]
        assert np.array_equal(ids, expected[0])
        assert np.array_equal(confidence, expected[1])
        answers.append(ids)
    assert Graph.num_replays == 3
    # What was given stays as it was: nothing points into memory that is written again.
    assert not np.array_equal(answers[0], answers[1])


def test_frames_written_in_place_are_segmented_without_a_copy(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    network, task = network_of(checkpoint, 'f32', batch=2)
    runner = CudaRunner(network, task, CPU)
    frames = streets(checkpoint, 2)
    runner.frames[...] = frames
    ids, _ = runner.run(runner.frames)
    again, _ = runner.run(frames)
    assert np.array_equal(ids, again)
    assert ids.shape == (2, *task.output_size)


def test_a_graph_that_cannot_be_captured_costs_speed_only(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(monkeypatch)
    Capture.error = RuntimeError('CUDA error: operation not permitted when stream is capturing')
    network, task = network_of(checkpoint, 'f32')
    runner = CudaRunner(network, task, CPU)
    assert not runner.has_graph
    assert 'its operators run one by one' in caplog.text
    for frame in streets(checkpoint, 2):
        ids, _ = runner.run(frame[None])
        with torch.inference_mode():
            expected = network(torch.from_numpy(frame[None]))[0].numpy()
        assert np.array_equal(ids, expected)
    assert Graph.num_replays == 0


@pytest.mark.parametrize(
    ('error', 'match', 'is_lost'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), 'memory', False),
        (RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling'), 'memory', False),
        (RuntimeError('cuDNN error: CUDNN_STATUS_NOT_INITIALIZED'), 'memory', False),
        (RuntimeError('CUDA error: no kernel image is available'), 'no kernels', False),
        (RuntimeError('CUDA error: device-side assert triggered\nCompile with'), 'lost', True),
        (RuntimeError('CUDA error: unspecified launch failure'), 'lost', True),
        (RuntimeError('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED'), 'lost', True),
    ],
)
def test_failures_of_the_device_say_whether_it_is_lost(
    error: Exception,
    match: str,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_lost: bool,
) -> None:
    kept: list[Any] = []
    monkeypatch.setattr(torch_cuda, 'keep_for_good', kept.append)
    monkeypatch.setattr(CudaRunner, '_live', weakref.WeakSet())
    pretend(monkeypatch)
    network, task = network_of(checkpoint, 'f32')
    beside, runner = CudaRunner(network, task, CPU), CudaRunner(network, task, CPU)
    Stream.error = error
    with pytest.raises(EngineError, match=match) as caught:
        runner.run(streets(checkpoint, 1))
    assert caught.value.lost == is_lost
    # PyTorch aborts the process where it frees pinned memory of a lost device.
    assert set(kept) == ({beside, runner} if is_lost else set())
    kept.clear()
    with pytest.raises(EngineError, match=match):
        CudaRunner(network, task, CPU)
    assert len(set(kept)) == (3 if is_lost else 0)


def test_what_lies_on_a_lost_device_is_never_destroyed() -> None:
    code = (
        'from hyperseg_core import process_end as p\n'
        'class Pinned:\n'
        '    def __del__(self): print("destroyed", flush=True)\n'
        'p.keep_for_good(Pinned())\n'
    )
    for end, status in (('', 0), ('p._kept.clear()', 0), ('p.leave(7)', 7)):
        done = subprocess.run(
            [sys.executable, '-c', code + end], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, '', '')


@pytest.mark.parametrize(
    ('architectures', 'capability', 'is_built'),
    [
        (['sm_80', 'sm_90', 'compute_90'], (8, 7), True),
        (['sm_75', 'sm_90'], (8, 7), False),
        (['sm_80', 'sm_90a', 'compute_90'], (12, 0), True),
        (['sm_80', 'sm_90', 'sm_120'], (7, 2), False),
        (['sm_89'], (8, 7), False),
    ],
)
def test_torch_without_kernels_for_a_gpu_is_known_before_it_is_tried(
    architectures: list[str], capability: tuple[int, int], *, is_built: bool
) -> None:
    assert has_kernels(architectures, capability) == is_built


@pytest.mark.parametrize('precision', ['f16', 'bf16'])
def test_half_weights_agree_on_streets(precision: str, checkpoint: Checkpoint) -> None:
    frames = torch.from_numpy(streets(checkpoint, 2))
    with torch.inference_mode():
        exact, half = (network_of(checkpoint, p)[0](frames) for p in ('f32', precision))
    assert (exact[0] == half[0]).float().mean() >= (0.998 if precision == 'f16' else 0.99)
    assert (half[1] > 0).all()


def test_weight_beyond_float16_is_refused_with_its_name() -> None:
    model = build_model('lite0').eval()
    with torch.no_grad():
        model.backbone.conv_head.weight[0] = 1e6
    with pytest.raises(EngineError, match=r'conv_head.weight is beyond what torch.float16'):
        FrameSegmentation(model, 11, SIZE, SIZE, torch.float16)


def test_coordinates_are_kept_and_are_what_the_network_computes() -> None:
    model = build_model('lite0').eval()
    decoder = model.decoder
    tap = torch.zeros(1, 3, 64, 128)
    computed = decoder.coordinates(tap)
    names = set(model.state_dict())
    decoder.keep_coordinates(*SIZE)
    assert torch.equal(decoder.coordinates(tap), computed)
    assert set(model.state_dict()) == names
    model.half()
    assert decoder.coordinates(tap).dtype == torch.float16
