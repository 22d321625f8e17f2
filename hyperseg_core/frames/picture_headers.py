# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What JPEG, PNG and TIFF say of themselves, read from their bytes from one end to the other."""

from dataclasses import dataclass
import re
import struct
from typing import Literal
import zlib

from hyperseg_core.errors import InputError

Form = Literal['jpeg', 'png', 'tiff']


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a picture may ask of us; more is refused before it is decoded."""

    max_side_px: int = 16_384
    max_pixels: int = 64_000_000
    max_ratio: int = 1_200
    """Bytes of pixels for each byte of the file. Blank pictures reach 1,032 in PNG and 1,000 in
    JPEG, which is what their coding can do at most."""
    max_scans: int = 64
    """Of a JPEG; cameras write 1, progressive pictures up to 14. Each costs a pass over it."""


DEFAULT_LIMITS = PictureLimits()


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture says of itself, once its bytes have been looked through."""

    form: Form
    height: int
    width: int
    channels: int
    bits: int
    """Of one channel of one pixel."""
    num_bytes: int
    """Where the picture ends; what follows is padding."""


_PNG = b'\x89PNG\r\n\x1a\n'
_JPEG = b'\xff\xd8\xff'
_TIFF = (b'II*\0', b'MM\0*')
_OTHERS = {
    b'GIF8': 'GIF', b'BM': 'BMP', b'\0\0\0\x0cjP': 'JPEG 2000', b'\xff\x0a': 'JPEG XL',
}  # fmt: skip
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# A marker of a JPEG that is neither a stuffed byte, nor fill, nor a restart between two blocks.
_MARKER = re.compile(rb'\xff([\x01-\xcf\xd8-\xfe])')
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _ALONE = 0xDA, 0xD9, {0x01, 0xD8}
_TIFF_TYPES = {1: 'B', 3: 'H', 4: 'I'}
_MAX_TIFF_TAGS = 4_096


def picture_form(data: bytes | memoryview) -> str:
    """Return `jpeg`, `png` or `tiff`, the name of another form we know of, or ''."""
    head = bytes(data[:16])
    if head.startswith(_PNG):
        return 'png'
    if head.startswith(_JPEG):
        return 'jpeg'
    if head.startswith(_TIFF):
        return 'tiff'
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'WebP'
    if head[4:12] in {b'ftypavif', b'ftypheic'}:
        return head[8:12].decode()
    return next((name for magic, name in _OTHERS.items() if head.startswith(magic)), '')


def check_size(height: int, width: int, limits: PictureLimits = DEFAULT_LIMITS) -> None:
    """Check an image's size before memory is taken for it.

    Raises:
        InputError: If a side is zero or the image exceeds a limit.
    """
    side = limits.max_side_px
    if not (0 < height <= side and 0 < width <= side):
        msg = f'Image is {height} x {width} px, expected sides of 1 to {side} px.'
        raise InputError(msg)
    if height * width > limits.max_pixels:
        msg = (
            f'Image is {height} x {width} px, more than the {limits.max_pixels} px that are '
            f'accepted.'
        )
        raise InputError(msg)


def read_png(view: memoryview, limits: PictureLimits) -> PictureHeader:
    """Walk the chunks: none may claim more than is there, and those that matter be whole."""
    height = width = bits = colour = num_data = 0
    position = len(_PNG)
    while True:
        if position + 12 > len(view):
            msg = f'PNG is cut off after {len(view)} bytes.'
            raise InputError(msg)
        length, kind = struct.unpack_from('>I4s', view, position)
        end = position + 12 + length
        if end > len(view):
            msg = (
                f'PNG is cut off or damaged: its chunk {kind!r} claims {length} bytes, but '
                f'{len(view) - position - 12} follow.'
            )
            raise InputError(msg)
        is_critical = not kind[0] & 0x20
        if is_critical and zlib.crc32(view[position + 4 : end - 4]) != _big_endian(view, end - 4):
            msg = f'PNG is damaged: the checksum of its chunk {kind!r} does not fit.'
            raise InputError(msg)
        if (kind == b'IHDR') != (position == len(_PNG)) or (kind == b'IHDR' and length != 13):
            msg = f'PNG is damaged: its chunk {kind!r} lies where it must not.'
            raise InputError(msg)
        if kind == b'IHDR':
            width, height, bits, colour = struct.unpack_from('>IIBB', view, position + 8)
            check_size(height, width, limits)
        num_data += length if kind == b'IDAT' else 0
        position = end
        if kind == b'IEND':
            break
    if not num_data or colour not in _PNG_CHANNELS or bits not in {1, 2, 4, 8, 16}:
        msg = f'PNG is damaged: {num_data} bytes of data, {bits} bits, colour type {colour}.'
        raise InputError(msg)
    return PictureHeader('png', height, width, _PNG_CHANNELS[colour], bits, position)


def read_jpeg(view: memoryview, limits: PictureLimits) -> PictureHeader:
    """Walk the segments to the end of the image, counting scans."""
    height = width = bits = channels = num_scans = 0
    position = 2
    while True:
        found = _MARKER.search(view, position)
        if found is None:
            msg = f'JPEG is cut off after {len(view)} bytes.'
            raise InputError(msg)
        marker, position = found[1][0], found.end()
        if marker == _END:
            break
        if marker in _ALONE:
            continue
        (length,) = struct.unpack_from('>H', view, position)
        if length < 2 or position + length > len(view):
            msg = f'JPEG is cut off or damaged in its segment {marker:#x}.'
            raise InputError(msg)
        if marker in _FRAMES:
            if height:
                msg = 'JPEG is damaged: it has two frames.'
                raise InputError(msg)
            bits, height, width, channels = struct.unpack_from('>BHHB', view, position + 2)
            check_size(height, width, limits)
        if marker == _SCAN:
            num_scans += 1
            _check_scans(num_scans, height * width, limits)
        position += length
    if not height or not num_scans:
        msg = f'JPEG of {len(view)} bytes is damaged: it holds no picture.'
        raise InputError(msg)
    return PictureHeader('jpeg', height, width, channels, bits, position)


def _check_scans(num_scans: int, num_pixels: int, limits: PictureLimits) -> None:
    """Refuse what would take many passes; the largest pictures may have ten of them."""
    if num_scans > limits.max_scans or num_scans * num_pixels > 10 * limits.max_pixels:
        msg = (
            f'JPEG of {num_pixels} px has {num_scans} scans or more, accepted are '
            f'{limits.max_scans}, and fewer of large pictures: decoding would take too long.'
        )
        raise InputError(msg)


def read_tiff(view: memoryview, limits: PictureLimits) -> PictureHeader:
    """Read the first picture's tags; tiles and strips count as what they would unpack to."""
    order = '<' if bytes(view[:2]) == b'II' else '>'
    (place,) = struct.unpack_from(f'{order}I', view, 4)
    (num_tags,) = struct.unpack_from(f'{order}H', view, place)
    if num_tags > _MAX_TIFF_TAGS:
        msg = f'TIFF is damaged: it claims {num_tags} tags.'
        raise InputError(msg)
    tags: dict[int, int] = {}
    for index in range(num_tags):
        entry = place + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f'{order}HHI', view, entry)
        if kind in _TIFF_TYPES and count:
            letter = _TIFF_TYPES[kind]
            at = entry + 8
            if count * struct.calcsize(letter) > 4:
                (at,) = struct.unpack_from(f'{order}I', view, at)
            (tags[tag],) = struct.unpack_from(f'{order}{letter}', view, at)
    width, height = tags.get(256, 0), tags.get(257, 0)
    check_size(height, width, limits)
    if 322 in tags or 323 in tags:
        check_size(tags.get(323, 0), tags.get(322, 0), limits)
    bits, channels = tags.get(258, 1), tags.get(277, 1)
    if not 0 < bits <= 64 or not 0 < channels <= 4:
        msg = f'TIFF has {channels} channels of {bits} bits, expected 1 to 4 of up to 64.'
        raise InputError(msg)
    return PictureHeader('tiff', height, width, channels, bits, len(view))


def _big_endian(view: memoryview, position: int) -> int:
    return int.from_bytes(view[position : position + 4], 'big')
