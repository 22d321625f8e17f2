# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate before an engine's first use: it must agree with PyTorch on stored frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engines import Engine
from hyperseg_core.inference.engines import EngineSpec
from hyperseg_core.inference.graph import DeployableGraph
from hyperseg_core.inference.torch_engine import TorchEngine
from hyperseg_core.preprocessing import Size

MIN_AGREEMENT = {'f32': 0.999, 'bf16': 0.97, 'f16': 0.99}
"""Least share of pixels whose class is PyTorch's, by precision."""
_SEED, _TIME_S = 20_000_000, 3.0


def stored_frames(batch: int, size: Size) -> NDArray[np.uint8]:
    """Return the frames of the check, (B, H, W, 3): rendered streets, always the same."""
    frames = [
        DriveScene(_SEED + index, height=size[0], width=size[1]).frame(_TIME_S).image
        for index in range(batch)
    ]
    return np.stack(frames)


def check_parity(
    engine: Engine, graph: DeployableGraph, spec: EngineSpec, batch: int
) -> dict[str, Any]:
    """Compare an engine with PyTorch on the CPU in float32.

    Returns:
        The figures: `agreement` (share of pixels), `required`, `confidence_error` (largest).

    Raises:
        EngineError: If it disagrees or computes NaN, with the figures.
    """
    frames = stored_frames(batch, graph.size)
    reference = TorchEngine(graph, EngineSpec('torch', 'cpu', 'f32'))
    expected, expected_confidence = reference.run(frames)
    ids, confidence = engine.run(frames)
    required = MIN_AGREEMENT[spec.precision]
    if ids.shape != expected.shape:
        msg = f'{spec} returns shape {ids.shape}, expected {expected.shape}; it is refused.'
        raise EngineError(msg)
    agreement = float((ids == expected).mean())
    # A probability of the largest class is at least 1 / N: zero can only come from NaN.
    undefined = int((confidence == 0).sum())
    error = int(np.abs(confidence.astype(np.int16) - expected_confidence).max())
    if agreement < required or undefined:
        msg = (
            f'{spec} disagrees with PyTorch on stored frames: {agreement:.4%} of the pixels agree '
            f'(required {required:.1%}), {undefined} have no probability. It is refused; use '
            f'another engine or `precision: f32`.'
        )
        raise EngineError(msg)
    return {'agreement': agreement, 'required': required, 'confidence_error': error}
