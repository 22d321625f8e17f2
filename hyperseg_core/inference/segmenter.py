# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`Segmenter`: frames of any size in, ids and confidence out, on the best engine there is."""

from collections.abc import Sequence
from dataclasses import dataclass
import logging
from pathlib import Path
from typing import overload
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine_pool import EnginePool
from hyperseg_core.inference.engine_pool import Shapes
from hyperseg_core.inference.machine import this_machine
from hyperseg_core.inference.progress import BuildProgress
from hyperseg_core.inference.selection import candidates
from hyperseg_core.inference.selection import cpu_candidates
from hyperseg_core.inference.selection import left_out
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.preprocessing import Size
from hyperseg_core.preprocessing import ids_size
from hyperseg_core.preprocessing import network_size

_logger = logging.getLogger(__name__)

Frame = NDArray[np.uint8]
_MAX_SIDE_PX = 16_384


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What was seen in a frame."""

    class_ids: Frame
    """(H, W) uint8, 255 = unlabelled."""
    confidence: Frame
    """(H, W) uint8, 0 to 255 for a probability of the class of 0 to 1."""

    @property
    def labels(self) -> Frame:
        """`class_ids`, under its old name."""
        warnings.warn('Use `class_ids`.', DeprecationWarning, stacklevel=2)
        return self.class_ids


class Segmenter:
    """Segments frames; may be called from several threads, one at a time runs.

    Engines have fixed shapes, so one is built for each frame size that arrives (from a cache on
    disk where it was built before) and the last few are kept.
    """

    def __init__(
        self,
        checkpoint: str | Path | Checkpoint = 'default',
        engine: str = 'auto',
        device: str = 'auto',
        precision: str = 'auto',
        size: Size | None = None,
        *,
        confidence_threshold: float = 0.0,
        frame_size: Size | None = None,
        fallback_ready: bool = False,
        replaces_lost: bool = True,
        progress: BuildProgress | None = None,
    ) -> None:
        """Load the network, choose an engine and run it once.

        Args:
            checkpoint: A file, the name of a shipped checkpoint, or a loaded one.
            engine: `auto`, `tensorrt`, `onnxruntime`, `openvino` or `torch`.
            device: `auto`, `cpu`, `gpu` (Intel), `cuda` or `cuda:N`.
            precision: `auto` (f16 on GPUs; on CPUs bf16 where the hardware multiplies it, else
                f32), `f32`, `bf16` or `f16`.
            size: The network's input size, height and width [px]; None follows each frame
                (`hyperseg_core.preprocessing.network_size`).
            confidence_threshold: Pixels with a lower probability become 255, 0 to 1.
            frame_size: Size of the frames to come, to be ready for; None: the network's own.
            fallback_ready: Whether a CPU engine is built beside one on a GPU, to take over at
                once when that is lost.
            replaces_lost: Whether the next engine goes on when one is lost; else the error says
                `lost`.
            progress: Told how far engines are that are being built; None: only the log is.

        Raises:
            CheckpointError: If the checkpoint cannot be used.
            ConfigError: If an option is unknown or fits nothing here.
            EngineError: If every engine failed.
            FileNotFoundError: If there is no such checkpoint.
        """
        if not 0 <= confidence_threshold <= 1:
            msg = f'confidence_threshold is {confidence_threshold}, but must be 0 to 1.'
            raise ConfigError(msg)
        self._checkpoint = (
            checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        )
        self._size = size
        self.confidence_threshold = confidence_threshold
        machine = this_machine()
        if machine.driver.is_broken and device != 'cpu':
            _logger.error('The NVIDIA driver is broken: %s.', machine.driver.absence)
        if machine.has_cuda and engine == 'auto' and device != 'cpu':
            for reason in left_out(machine):
                _logger.info('Not tried: %s', reason)
        self._pool = EnginePool(
            self._checkpoint,
            candidates(engine, device, precision, machine),
            cpu_candidates(machine) if fallback_ready else (),
            replaces_lost=replaces_lost,
            progress=progress or BuildProgress(),
        )
        self.prepare(frame_size or size or self._checkpoint.config.size)
        chosen = self._pool.candidate
        _logger.info('Segmenting on %s: %s.', chosen.spec, chosen.reason)

    @property
    def label_set(self) -> LabelSet:
        """What the ids mean."""
        return self._checkpoint.label_set

    @property
    def labels(self) -> LabelSet:
        """`label_set`, under its old name."""
        warnings.warn('Use `label_set`.', DeprecationWarning, stacklevel=2)
        return self._checkpoint.label_set

    @property
    def checkpoint(self) -> Checkpoint:
        """The network and what is known about it."""
        return self._checkpoint

    @property
    def spec(self) -> EngineSpec:
        """The engine in use."""
        return self._pool.candidate.spec

    @property
    def loss(self) -> str:
        """Which engine was lost and why; '' where none was."""
        return self._pool.loss

    @overload
    def __call__(self, images: Frame) -> Segmentation: ...

    @overload
    def __call__(self, images: Sequence[Frame]) -> list[Segmentation]: ...

    def __call__(self, images: Frame | Sequence[Frame]) -> Segmentation | list[Segmentation]:
        """Segment a frame, or a list of frames of any sizes.

        Args:
            images: (H, W, 3) uint8, RGB; grey and RGBA are converted, any strides are taken.

        Returns:
            A segmentation at the frame's own size, or a list of them in the same order.

        Raises:
            InputError: If an image is none of that.
            EngineError: If the engine fails.
        """
        if isinstance(images, np.ndarray) and images.ndim in {2, 3}:
            return self._segment_all([as_rgb(images)])[0]
        return self._segment_all([as_rgb(image) for image in images])

    @property
    def size(self) -> Size | None:
        """The network's input size that was asked for [px]; None: it follows the frames."""
        return self._size

    def is_ready(self, image: Frame) -> bool:
        """Tell whether the engine for such a frame is there already."""
        return self._pool.is_ready(self._shapes((image.shape[0], image.shape[1])))

    def prepare(self, frame_size: Size) -> None:
        """Build the engine for frames of a size [px]; others run meanwhile.

        Raises:
            EngineError: If every engine failed.
        """
        self._pool.prepare(self._shapes(frame_size))

    def close(self) -> None:
        """Release the engines; the segmenter cannot be called afterwards."""
        self._pool.close()

    def _segment_all(self, frames: list[Frame]) -> list[Segmentation]:
        return [self._segment(frame) for frame in frames]

    def _segment(self, frame: Frame) -> Segmentation:
        frame_size = (frame.shape[0], frame.shape[1])
        return self._finish(*self._pool.run(frame, self._shapes(frame_size)), frame_size)

    def _shapes(self, frame_size: Size) -> Shapes:
        """Return the network's input size and the size of its ids for a frame size."""
        size = network_size(frame_size, self._checkpoint.config, self._size)
        return size, ids_size(frame_size, size)

    def _finish(self, ids: Frame, confidence: Frame, frame_size: Size) -> Segmentation:
        if ids.shape != frame_size:
            ids, confidence = (
                cv2.resize(plane, frame_size[::-1], interpolation=cv2.INTER_NEAREST)
                for plane in (ids, confidence)
            )  # type: ignore[assignment]
        if self.confidence_threshold > 0:
            is_sure = confidence >= round(255 * self.confidence_threshold)
            ids = np.where(is_sure, ids, np.uint8(IGNORE_ID))
        return Segmentation(ids, confidence)


def as_rgb(image: Frame) -> Frame:
    """Bring an image to contiguous (H, W, 3) uint8 where its meaning is plain.

    Raises:
        InputError: If it is not.
    """
    if not isinstance(image, np.ndarray):
        msg = f'Image is a {type(image).__name__}, expected a NumPy array (H, W, 3) uint8, RGB.'
        raise InputError(msg)
    described = f'Image has shape {image.shape} and type {image.dtype}'
    if image.dtype != np.uint8:
        msg = f'{described}, expected (H, W, 3) uint8 from 0 to 255; scale it to that.'
        raise InputError(msg)
    if image.ndim not in {2, 3} or (image.ndim == 3 and image.shape[2] not in {1, 3, 4}):
        msg = f'{described}, expected (H, W, 3) uint8, RGB; grey and RGBA are converted.'
        raise InputError(msg)
    if 0 in image.shape or max(image.shape[:2]) > _MAX_SIDE_PX:
        msg = f'{described}, expected sides of 1 to {_MAX_SIDE_PX} px.'
        raise InputError(msg)
    if image.ndim == 2 or image.shape[2] == 1:
        image = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[..., :3])
