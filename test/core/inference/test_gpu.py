# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What only a GPU can show; `tools/gpu_check.py` runs it: `pytest -m gpu`."""

import functools

import numpy as np
import pytest
import torch

from hyperseg_core import Checkpoint
from hyperseg_core import EngineError
from hyperseg_core import HyperSeg
from hyperseg_core import Segmenter
from hyperseg_core import build_model
from hyperseg_core import load_checkpoint
from hyperseg_core import load_labels
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference import preparation
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import check_runs
from hyperseg_core.inference.engines.torch import TorchEngine
from hyperseg_core.inference.engines.torch_cuda import CudaRunner
from hyperseg_core.inference.engines.torch_network import DTYPES
from hyperseg_core.inference.engines.torch_network import FrameSegmentation
from hyperseg_core.model.config import preset_names

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device'),
]
SIZE = (256, 384)
# Random weights have many near ties; trained ones pass the gate of `parity`.
LEAST = {'f32': 0.999, 'f16': 0.98, 'bf16': 0.9}


def streets(count: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    scenes = [DriveScene(seed, height=size[0], width=size[1]) for seed in range(count)]
    return np.stack([scene.frame(2.0).image for scene in scenes])


@functools.lru_cache(maxsize=1)
def calibrated(preset: str) -> HyperSeg:
    """A network whose running statistics fit, or numbers grow from level to level."""
    torch.manual_seed(0)
    model = build_model(preset).train().cuda()
    frames = torch.from_numpy(streets(2)).cuda().permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for _ in range(30):
            model(frames / 127.5 - 1)
    return model.cpu().eval()


@pytest.mark.parametrize('precision', DTYPES)
@pytest.mark.parametrize('preset', preset_names())
def test_torch_agrees_with_the_cpu(preset: str, precision: str) -> None:
    model = calibrated(preset)
    labels = load_labels({'vocsbd-l': 'voc'}.get(preset, 'camvid'))
    checkpoint = Checkpoint.of_model(model, labels, digest='none')
    task = Task(checkpoint, 1, SIZE, SIZE)
    engine = TorchEngine(task, EngineSpec('torch', 'cuda', precision))  # type: ignore[arg-type]
    assert engine._runner is not None
    assert engine._runner.has_graph
    exact = FrameSegmentation(model, len(labels), SIZE, SIZE, torch.float32)
    for frame in streets(2):
        ids, confidence = engine.run(frame[None])
        with torch.inference_mode():
            expected, _ = exact(torch.from_numpy(frame[None]))
        assert (ids == expected.numpy()).mean() >= LEAST[precision]
        assert confidence.min() > 0


@pytest.mark.parametrize('precision', ['f32', 'f16'])
@pytest.mark.parametrize('name', ['tensorrt', 'torch', 'onnxruntime'])
@pytest.mark.parametrize('checkpoint', ['default', 'fast'])
def test_every_engine_passes_the_gate_with_trained_weights(
    checkpoint: str, name: str, precision: str
) -> None:
    spec = EngineSpec(name, 'cuda', precision)  # type: ignore[arg-type]
    try:
        check_runs(spec)
    except EngineError as error:
        pytest.skip(str(error))
    loaded = load_checkpoint(checkpoint)
    for output in (loaded.config.size, (360, 480)):
        preparation.prepare(Task(loaded, 1, loaded.config.size, output), spec).close()


@pytest.mark.parametrize('use_graph', [True, False])
def test_fresh_frames_give_fresh_answers_in_batches(*, use_graph: bool) -> None:
    checkpoint = load_checkpoint('fast')
    task = Task(checkpoint, 2, SIZE, SIZE)
    network = FrameSegmentation(
        checkpoint.model, len(checkpoint.label_set), SIZE, SIZE, torch.float16
    )
    runner = CudaRunner(network, task, torch.device('cuda'), use_graph=use_graph)
    exact = Segmenter(checkpoint, device='cpu', precision='f32', size=SIZE)
    for pair in streets(6).reshape(3, 2, *SIZE, 3):
        ids, _ = runner.run(pair)
        for found, frame in zip(ids, pair, strict=True):
            assert (found == exact(frame).class_ids).mean() >= 0.995


def test_memory_does_not_grow() -> None:
    segmenter = Segmenter('fast', 'torch', 'cuda')
    frame = streets(1)[0]
    segmenter(frame)
    taken = torch.cuda.memory_reserved()
    for _ in range(200):
        segmenter(frame)
    assert torch.cuda.memory_reserved() == taken
