# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files: which there are in a folder, and their pixels."""

from collections import Counter
import io
from pathlib import Path

import cv2
import numpy as np

from hyperseg_core.errors import InputError
from hyperseg_core.frames.compressed import DEFAULT_LIMITS
from hyperseg_core.frames.compressed import PictureLimits
from hyperseg_core.frames.compressed import RgbImage
from hyperseg_core.frames.compressed import check_size
from hyperseg_core.frames.compressed import decode_rgb
from hyperseg_core.frames.compressed import picture_form

IMAGE_ENDINGS = (
    '.bmp', '.jfif', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp',
)  # fmt: skip
"""Endings of the image files that are read, in small letters."""


def is_image(path: Path) -> bool:
    """Tell whether a file is called like an image; hidden ones are none (`._a.png` of macOS)."""
    return path.suffix.lower() in IMAGE_ENDINGS and not path.name.startswith('.')


def images_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """List a folder's images by name, and the other files that are not hidden.

    Raises:
        InputError: If it holds no image.
    """
    files = sorted(p for p in folder.iterdir() if _is_listed(p))
    images = [path for path in files if is_image(path)]
    if not images:
        names = ', '.join(path.name for path in files[:5])
        msg = (
            f'No image in {folder}{f" (it holds {names})" if names else ""}; known endings: '
            f'{", ".join(IMAGE_ENDINGS)}.'
        )
        raise InputError(msg)
    return images, [path for path in files if not is_image(path)]


def _is_listed(path: Path) -> bool:
    """Tell whether a folder's entry is a file that is not hidden; a link to nothing is a loss."""
    is_broken_link = path.is_symlink() and not path.exists()
    return (path.is_file() or is_broken_link) and not path.name.startswith('.')


def names_that_differ(paths: list[Path]) -> list[str]:
    """Return a name for each file's results: its stem, or its whole name where stems are equal.

    Where `a.png` and `a.jpg` would take the name of `a_png.bmp`, a number is added to theirs.
    """
    stems = Counter(path.stem for path in paths)
    taken = {stem for stem, count in stems.items() if count == 1}
    names = []
    for path in paths:
        name = path.stem
        if stems[name] > 1:
            whole = name = path.name.replace('.', '_')
            number = 1
            while name in taken:
                number += 1
                name = f'{whole}_{number}'
            taken.add(name)
        names.append(name)
    return names


def read_rgb(path: Path, limits: PictureLimits = DEFAULT_LIMITS) -> RgbImage:
    """Read an image file as (H, W, 3) uint8 RGB.

    Raises:
        InputError: If it is missing, no image, cut off, or larger than the limits.
    """
    try:
        data = path.read_bytes()
        if picture_form(data) in {'jpeg', 'png', 'tiff'}:
            return decode_rgb(data, limits)
        return _decode_other(data, limits)
    except InputError as err:
        msg = f'Cannot read the image {path}: {err}'
        raise InputError(msg) from err
    except OSError as err:
        msg = f'Cannot read the image {path}: {err.strerror or err}.'
        raise InputError(msg) from err


def _decode_other(data: bytes, limits: PictureLimits) -> RgbImage:
    """Decode BMP, WebP or PPM, whose headers Pillow reads without decoding."""
    from PIL import Image as PillowImage

    try:
        with PillowImage.open(io.BytesIO(data), formats=('BMP', 'WEBP', 'PPM')) as header:
            width, height = header.size
    except Exception as err:  # of damaged headers Pillow raises many kinds
        msg = f'it is no image that can be read ({len(data)} bytes).'
        raise InputError(msg) from err
    check_size(height, width, limits)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        decoded = None
    if decoded is None or decoded.shape[:2] != (height, width):
        msg = f'{header.format} of {height} x {width} px cannot be decoded; it is damaged.'
        raise InputError(msg)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
