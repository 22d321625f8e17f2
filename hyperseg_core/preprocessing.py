# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a frame to the network's input: the one policy of sizes.

Training, evaluation and inference share it: a frame is stretched to the network's size and the
logits are brought back bilinearly to the frame's size before the argmax
(docs/published-differences.md: evaluation).
"""

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.config import nearest_multiple

Size = tuple[int, int]
_MAX_IDS_RATIO = 2.0
"""Frames with up to this many times the network's pixels get ids computed at their own size;
larger ones get the network's, enlarged to the nearest."""


def network_size(frame: Size, config: ModelConfig, size: Size | None = None) -> Size:
    """Choose the network's input size (height, width) for a frame [px].

    Without `size`, a frame with about as many pixels as the network is meant for is brought to
    the nearest multiples of its stride; larger or smaller ones are scaled, aspect kept, to the
    number of pixels that the network is meant for, then to the nearest multiples.

    Args:
        frame: The frame's height and width [px].
        config: The network's configuration.
        size: A size that the user asks for; frames are stretched to it.

    Raises:
        ConfigError: If `size` is no multiple of the network's stride.
    """
    stride = config.stride
    if size is not None:
        if size[0] % stride or size[1] % stride or min(size) < stride:
            fit = tuple(nearest_multiple(side, stride) for side in size)
            msg = (
                f'Network size {size[0]} x {size[1]} px must be multiples of {stride} px; use '
                f'{fit[0]} x {fit[1]} px.'
            )
            raise ConfigError(msg)
        return size
    scale = (config.size[0] * config.size[1] / (frame[0] * frame[1])) ** 0.5
    return (
        nearest_multiple(round(frame[0] * scale), stride),
        nearest_multiple(round(frame[1] * scale), stride),
    )


def ids_size(frame: Size, size: Size) -> Size:
    """Choose the size (height, width) at which an engine computes the ids of a frame [px].

    Args:
        frame: The frame's height and width [px].
        size: The network's input size [px].
    """
    ratio = frame[0] * frame[1] / (size[0] * size[1])
    return frame if ratio <= _MAX_IDS_RATIO else size


def resize_frame(frame: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize a frame (H, W, 3) to `size`: bilinear, area averaging below half.

    At half, both average two by two pixels; area averaging is the slower.
    """
    if frame.shape[:2] == size:
        return frame
    resized = np.empty((*size, 3), np.uint8)
    resize_frame_into(frame, resized)
    return resized


def resize_frame_into(frame: NDArray[np.uint8], resized: NDArray[np.uint8]) -> None:
    """Resize a frame (H, W, 3) to the size of `resized` (H', W', 3), and write it there."""
    import cv2

    height, width = resized.shape[:2]
    if frame.shape == resized.shape:
        resized[...] = frame
        return
    shrinks = frame.shape[0] > 2 * height and frame.shape[1] > 2 * width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    cv2.resize(frame, (width, height), dst=resized, interpolation=interpolation)
