# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph that GPUs are given in float16, on ONNX Runtime on the CPU, with trained weights.

Frames are CamVid's where CAMVID_ROOT names it, else rendered streets. The whole test split is
scored by benchmarks/half_precision.py; docs/tensorrt.md has the figures.
"""

from collections.abc import Sequence
import os

from graph_runner import run_model
import numpy as np
import pytest

from hyperseg_core import load_checkpoint
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame

NUM_FRAMES = 4


@pytest.fixture(scope='module')
def images() -> Sequence[np.ndarray]:
    root = os.environ.get('CAMVID_ROOT')
    kind = 'camvid' if root else 'drive'
    source = open_data(SourceConfig(kind=kind, split='test', root=root))
    step = len(source) // NUM_FRAMES
    return [source.load(index * step)[0] for index in range(NUM_FRAMES)]


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', ['default', 'fast'])
def test_trained_network_sees_in_float16_what_it_sees_in_float32(
    name: str, form: str, images: Sequence[np.ndarray]
) -> None:
    checkpoint = load_checkpoint(name)
    frame_size = images[0].shape[:2]
    size = network_size(frame_size, checkpoint.config)
    frames = np.stack([resize_frame(image, size) for image in images])
    (exact, _), (half, confidence) = (
        run_model(
            build_graph(
                checkpoint, size, output_size=frame_size, batch=NUM_FRAMES, form=form,
                precision=precision,
            ),
            frames,
        )
        for precision in ('f32', 'f16')
    )  # fmt: skip
    assert (exact == half).mean() >= 0.998
    assert confidence.min() > 0
