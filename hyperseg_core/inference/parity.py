# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The gate before an engine's first use: it must give the answers that are known.

A checkpoint carries two frames and what PyTorch made of them in float32 (`stored_frames`). An
engine in float32 must give these at the network's own size. Any other precision is compared with
the float32 engine of the same library at the size that is wanted. No PyTorch is needed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Precision
from hyperseg_core.inference.engine import Task
from hyperseg_core.preprocessing import resize_frame
from hyperseg_core.stored_frames import rendered_images

MIN_AGREEMENT: dict[Precision, float] = {'f32': 0.999, 'bf16': 0.97, 'f16': 0.995}
"""Least share of pixels whose class is the expected one, by precision."""
Answers = tuple[Bytes, Bytes]
"""Ids and confidence of frames, (B, H, W) uint8 each."""


def gate_images(task: Task) -> list[Bytes]:
    """Return the frames of the check at a task's input size."""
    images = [frame.image for frame in task.checkpoint.frames()]
    images = images or rendered_images(task.checkpoint.config.size)
    return [resize_frame(image, task.size) for image in images]


def answers_of(engine: Engine, images: Sequence[Bytes], batch: int) -> Answers:
    """Let an engine answer; its batches are filled up with the last frame."""
    padded = [*images, *[images[-1]] * (-len(images) % batch)]
    starts = range(0, len(padded), batch)
    pairs = [engine.run(np.stack(padded[start : start + batch])) for start in starts]
    ids, confidence = (np.concatenate(planes) for planes in zip(*pairs, strict=True))
    return ids[: len(images)], confidence[: len(images)]


def num_undefined(confidence: Bytes) -> int:
    """Count the pixels whose probability is not a number.

    That of the largest class is at least 1 / N, 1 as a byte: zero can only come from NaN.
    """
    return 0 if confidence.min(initial=1) else int((confidence == 0).sum())


def check_answers(
    found: Answers, expected: Answers | None, spec: EngineSpec, reference: str
) -> dict[str, Any]:
    """Check an engine's answers.

    Args:
        found: What the engine answers.
        expected: What it should; None where that is not known.
        spec: The engine.
        reference: Whose answers are expected.

    Returns:
        The figures: `reference`, and, where answers are known, `agreement` (share of pixels),
        `required` and `confidence_error` (largest).

    Raises:
        EngineError: If it disagrees or computes NaN, with the figures.
    """
    ids, confidence = found
    undefined = num_undefined(confidence)
    if expected is None:
        if undefined:
            msg = f'{spec} computes no probability for {undefined} pixels. It is refused.'
            raise EngineError(msg)
        return {'reference': reference}
    if ids.shape != expected[0].shape:
        msg = f'{spec} returns shape {ids.shape}, expected {expected[0].shape}; it is refused.'
        raise EngineError(msg)
    required = MIN_AGREEMENT[spec.precision]
    agreement = float((ids == expected[0]).mean())
    if agreement < required or undefined:
        msg = (
            f'{spec} disagrees with {reference} on stored frames: {agreement:.4%} of the pixels '
            f'agree (required {required:.1%}), {undefined} have no probability. It is refused; '
            f'use another engine or `precision: f32`.'
        )
        raise EngineError(msg)
    error = int(np.abs(confidence.astype(np.int16) - expected[1]).max())
    return {
        'reference': reference, 'agreement': agreement, 'required': required,
        'confidence_error': error,
    }  # fmt: skip
