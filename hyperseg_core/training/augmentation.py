# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation: torchvision's transforms on an image and its labels, per recipe."""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from hyperseg_core.labels import IGNORE_ID

_GREY = 127


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What happens to a training image, in this order."""

    base_size: tuple[int, int] | None = None
    """Size that images are brought to first, height and width [px]; null: their own."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Range of random enlargement, aspect kept."""
    scale_probability: float = 0.5
    """Share of images that are rescaled."""
    rotation_deg: float = 0.0
    """Largest rotation to either side."""
    crop: tuple[int, int] = (512, 512)
    """Crop height and width [px]; smaller images are padded, labels with 255."""
    rare_classes: tuple[int, ...] = ()
    """Ids that crops are drawn towards, and that are pasted."""
    paste_probability: float = 0.0
    """Share of images that get rare things of another image of their source pasted in, where
    they were there; before everything else (after ClassMix, WACV 2021, but with true labels)."""
    rare_probability: float = 0.0
    """Share of crops drawn around a pixel of a rare class, where the image has one."""
    flip: bool = True
    jitter: float = 0.0
    """Strength of changes to brightness, contrast and saturation, 0 to 1."""
    hue: float = 0.0
    """Largest change of hue, 0 to 0.5."""
    blur_probability: float = 0.0


def paste_classes(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    other_image: NDArray[np.uint8],
    other_labels: NDArray[np.uint8],
    classes: Sequence[int],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paste the pixels of some classes of another image of the same size, labels with them.

    Args:
        image: (H, W, 3).
        labels: (H, W).
        other_image: (H, W, 3).
        other_labels: (H, W).
        classes: Ids to paste.

    Returns:
        New image and labels; of images of different sizes, the first one's.
    """
    if labels.shape != other_labels.shape:
        return image, labels
    is_pasted = np.isin(other_labels, np.asarray(classes, np.uint8))
    pasted = np.where(is_pasted[..., None], other_image, image)
    return pasted, np.where(is_pasted, other_labels, labels)


class RandomScale(v2.Transform):
    """Resize by a random factor, aspect kept; antialiased, labels to the nearest."""

    def __init__(self, scale: tuple[float, float], probability: float) -> None:
        """Take the range of factors and the share of images that are resized."""
        super().__init__()
        self.scale, self.probability = scale, probability

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the size."""
        height, width = v2.query_size(flat_inputs)
        low, high = self.scale
        is_scaled = float(torch.rand(())) < self.probability
        factor = low + (high - low) * float(torch.rand(())) if is_scaled else 1.0
        return {'size': [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one input."""
        if list(functional.get_size(inpt)) == params['size']:
            return inpt
        return self._call_kernel(
            functional.resize,
            inpt,
            params['size'],
            interpolation=v2.InterpolationMode.BICUBIC,
            antialias=True,
        )


class RareCrop(v2.Transform):
    """Crop to a size, sometimes around a pixel of a rare class; needs at least that size."""

    def __init__(self, size: tuple[int, int], rare: tuple[int, ...], probability: float) -> None:
        """Take the crop's size, the rare ids and the share of crops drawn towards them."""
        super().__init__()
        self.size, self.probability = size, probability
        self.rare = torch.tensor(rare, dtype=torch.uint8)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the corner."""
        height, width = v2.query_size(flat_inputs)
        room = (height - self.size[0], width - self.size[1])
        corner = [int(torch.randint(0, side + 1, ())) for side in room]
        mask = next((item for item in flat_inputs if isinstance(item, tv_tensors.Mask)), None)
        if mask is not None and float(torch.rand(())) < self.probability:
            corner = self._towards_rare(mask, room) or corner
        return {'top': corner[0], 'left': corner[1]}

    def _towards_rare(self, mask: Tensor, room: tuple[int, int]) -> list[int] | None:
        present = self.rare[torch.isin(self.rare, mask)]
        if not len(present):
            return None
        chosen = present[int(torch.randint(len(present), ()))]
        pixels = (mask.reshape(mask.shape[-2:]) == chosen).nonzero()
        pixel = pixels[int(torch.randint(len(pixels), ()))].tolist()
        offsets = [int(torch.randint(side, ())) for side in self.size]
        return [
            min(max(place - offset, 0), limit)
            for place, offset, limit in zip(pixel, offsets, room, strict=True)
        ]

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Crop one input."""
        return self._call_kernel(functional.crop, inpt, params['top'], params['left'], *self.size)


class PadTo(v2.Transform):
    """Pad on the right and below to at least a size; labels with 255."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Take the least size."""
        super().__init__()
        self.size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Compute the padding."""
        height, width = v2.query_size(flat_inputs)
        return {'padding': [0, 0, max(0, self.size[1] - width), max(0, self.size[0] - height)]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Pad one input."""
        fill = IGNORE_ID if isinstance(inpt, tv_tensors.Mask) else _GREY
        return self._call_kernel(functional.pad, inpt, params['padding'], fill=fill)


class RandomHue(v2.Transform):
    """Turn the hue by a random share of the circle, as `v2.ColorJitter` does.

    By OpenCV in steps of 2 degrees: torchvision's was half of what loading an image costs.
    """

    _transformed_types = (tv_tensors.Image,)

    def __init__(self, hue: float) -> None:
        """Take the largest share, 0 to 0.5."""
        super().__init__()
        self.hue = hue

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the share, in OpenCV's 180 steps."""
        return {'steps': round(180 * self.hue * (2 * float(torch.rand(())) - 1))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Turn one image, uint8."""
        if not params['steps']:
            return inpt
        hsv = cv2.cvtColor(inpt.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + params['steps']) % 180
        turned = torch.from_numpy(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
        return tv_tensors.wrap(turned.permute(2, 0, 1).contiguous(), like=inpt)


def build_augmentation(config: AugmentConfig) -> Callable[..., Any]:
    """Return the transform of a (tv Image, tv Mask) pair that a recipe asks for."""
    fill = {tv_tensors.Image: _GREY, tv_tensors.Mask: IGNORE_ID}
    steps: list[v2.Transform] = []
    if config.base_size is not None:
        steps.append(v2.Resize(list(config.base_size), antialias=True))
    if config.scale != (1.0, 1.0):
        steps.append(RandomScale(config.scale, config.scale_probability))
    if config.rotation_deg:
        steps.append(
            v2.RandomRotation(
                config.rotation_deg, interpolation=v2.InterpolationMode.BILINEAR, fill=fill
            )
        )
    steps.append(PadTo(config.crop))
    steps.append(RareCrop(config.crop, config.rare_classes, config.rare_probability))
    if config.flip:
        steps.append(v2.RandomHorizontalFlip())
    if config.jitter:
        steps.append(v2.ColorJitter(config.jitter, config.jitter, config.jitter))
    if config.hue:
        steps.append(RandomHue(config.hue))
    if config.blur_probability:
        steps.append(v2.RandomApply([v2.GaussianBlur(5, (0.1, 1.5))], config.blur_probability))
    return v2.Compose(steps)
