# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames that a checkpoint carries with its network's answers, so that engines can be checked.

They are rendered streets of the network's own size, and what PyTorch made of them in float32.
In a checkpoint each is three PNG files as uint8 tensors. An engine that is built where there is
no PyTorch must give the same answers.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import PictureLimits
from hyperseg_core.frames.compressed import decode_plain

if TYPE_CHECKING:
    from hyperseg_core.labels import LabelSet
    from hyperseg_core.model.hyperseg import HyperSeg

Bytes = NDArray[np.uint8]
PREFIX = 'hyperseg.frames.'
"""What the names of the tensors begin with; no network has such a part."""
NUM_FRAMES = 2
_MAX_FRAMES, _LIMITS = 4, PictureLimits(max_pixels=8 << 20)
"""More than any release writes; decoded they are all in memory at once."""
_PARTS = ('image', 'class_ids', 'confidence')
_SEED, _TIME_S = 20_000_000, 3.0


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame and what the network makes of it."""

    image: Bytes
    """(H, W, 3), RGB, of the network's own size."""
    class_ids: Bytes
    """(H, W), 255 = void."""
    confidence: Bytes
    """(H, W), 255 = a probability of 1."""


def rendered_images(size: tuple[int, int], count: int = NUM_FRAMES) -> list[Bytes]:
    """Return rendered streets, (H, W, 3) uint8 RGB, always the same."""
    from hyperseg_core.drive.scene import DriveScene

    return [
        DriveScene(_SEED + index, height=size[0], width=size[1]).frame(_TIME_S).image
        for index in range(count)
    ]


def answered_frames(model: 'HyperSeg', label_set: 'LabelSet') -> tuple[StoredFrame, ...]:
    """Render the frames and let the network answer, by PyTorch in float32 on the CPU."""
    from hyperseg_core.inference.engines.torch_network import answer

    images = rendered_images(model.config.size)
    class_ids, confidence = answer(model, len(label_set), np.stack(images))
    return tuple(map(StoredFrame, images, class_ids, confidence))


def encode_frames(frames: Sequence[StoredFrame]) -> dict[str, Bytes]:
    """Return the tensors that hold frames."""
    return {
        f'{PREFIX}{index}.{part}': _encode_png(getattr(frame, part))
        for index, frame in enumerate(frames)
        for part in _PARTS
    }


def decode_frames(tensors: Mapping[str, NDArray[Any]]) -> tuple[StoredFrame, ...]:
    """Return the frames that tensors hold; none where there are none.

    Raises:
        CheckpointError: If they are damaged.
    """
    count = len({key.removeprefix(PREFIX).partition('.')[0] for key in tensors})
    if count > _MAX_FRAMES:
        msg = f'The checkpoint holds {count} stored frames, at most {_MAX_FRAMES} are read.'
        raise CheckpointError(msg)
    frames = []
    for index in range(count):
        names = [f'{PREFIX}{index}.{part}' for part in _PARTS]
        image, class_ids, confidence = (_decode_png(name, tensors) for name in names)
        if image.shape != (*class_ids.shape, 3) or confidence.shape != class_ids.shape:
            msg = f'The stored frame {index} and its answers have different sizes. Save it anew.'
            raise CheckpointError(msg)
        frames.append(StoredFrame(image, class_ids, confidence))
    return tuple(frames)


def _encode_png(image: Bytes) -> Bytes:
    """Return (H, W) or (H, W, 3), RGB, as the bytes of a PNG file."""
    pixels = image if image.ndim == 2 else image[..., ::-1]
    is_written, data = cv2.imencode('.png', pixels, (cv2.IMWRITE_PNG_COMPRESSION, 9))
    assert is_written
    return np.asarray(data, np.uint8).reshape(-1)


def _decode_png(name: str, tensors: Mapping[str, NDArray[Any]]) -> Bytes:
    try:
        pixels = decode_plain(np.ascontiguousarray(tensors[name]).data, _LIMITS)
    except (KeyError, InputError) as err:
        msg = f'The checkpoint holds no readable {name} ({err}). Save it anew.'
        raise CheckpointError(msg) from err
    image = pixels if pixels.ndim == 2 else pixels[..., ::-1]
    return np.ascontiguousarray(image, np.uint8)
