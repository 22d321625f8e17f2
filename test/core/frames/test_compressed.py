# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compressed pictures are looked through before a decoder takes memory or time for them."""

import io
import struct
import subprocess
import sys
import time
import zlib

import cv2
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
import numpy as np
from PIL import Image as PillowImage
import pytest

from hyperseg_core import InputError
from hyperseg_core.frames.compressed import PictureLimits
from hyperseg_core.frames.compressed import decode_plain
from hyperseg_core.frames.compressed import decode_rgb
from hyperseg_core.frames.compressed import picture_form
from hyperseg_core.frames.compressed import read_header

RGB = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48))


def encoded(ending: str, pixels: np.ndarray = RGB, *flags: int) -> bytes:
    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
    return bytes(cv2.imencode(ending, ordered, list(flags))[1])


JPEG, PNG, TIFF = encoded('.jpg'), encoded('.png'), encoded('.tiff')
PROGRESSIVE = encoded('.jpg', RGB, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


def chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    crc = struct.pack('>I', zlib.crc32(kind + body))
    return struct.pack('>I', size) + kind + body + crc


def png(width: int, height: int, data: bytes = b'', *, more: bytes = b'', bits: int = 8) -> bytes:
    header = struct.pack('>IIBBBBB', width, height, bits, 0, 0, 0, 0)
    body = chunk(b'IHDR', header) + more + chunk(b'IDAT', data or zlib.compress(b''))
    return b'\x89PNG\r\n\x1a\n' + body + chunk(b'IEND', b'')


@pytest.mark.parametrize(
    ('data', 'form'), [(JPEG, 'jpeg'), (PROGRESSIVE, 'jpeg'), (PNG, 'png'), (TIFF, 'tiff')]
)
def test_pictures_are_read(data: bytes, form: str) -> None:
    header = read_header(data)
    assert (header.form, header.height, header.width, header.channels) == (form, 48, 64, 3)
    assert np.abs(decode_rgb(data).astype(int) - RGB).mean() < 8
    assert np.abs(decode_rgb(memoryview(bytearray(data))).astype(int) - RGB).mean() < 8


@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE, PNG])
@pytest.mark.parametrize('num_bytes', [1, 100, 200_000])
def test_padding_belongs_to_no_picture(data: bytes, num_bytes: int) -> None:
    for padding in (bytes(num_bytes), b'\xff' * num_bytes, JPEG * (num_bytes // len(JPEG))):
        assert read_header(data + padding).num_bytes == len(data)
        assert np.array_equal(decode_rgb(data + padding), decode_rgb(data))


@pytest.mark.parametrize('data', [JPEG, PROGRESSIVE, PNG])
@pytest.mark.parametrize('padding', [0, 100])
def test_what_is_cut_off_is_damaged(data: bytes, padding: int) -> None:
    for kept in (0.5, 0.9, 1 - 2 / len(data)):
        cut = data[: int(len(data) * kept)] + bytes(padding)
        with pytest.raises(InputError, match=r'cut off|damaged'):
            decode_rgb(cut)


def test_a_changed_byte_of_a_png_is_damage() -> None:
    data = bytearray(PNG)
    data[len(PNG) // 2] ^= 1
    with pytest.raises(InputError, match='checksum of its chunk'):
        decode_rgb(data)


@pytest.mark.parametrize('kind', [b'IDAT', b'tEXt', b'iCCP', b'zTXt', b'IHDR', b'eXIf'])
@pytest.mark.parametrize('length', [0xFFFFFFF0, 0x7FFFFFFF, 200])
def test_chunks_that_claim_more_than_there_is_are_refused(kind: bytes, length: int) -> None:
    with pytest.raises(InputError, match=r'claims|lies where it must not|cut off'):
        decode_rgb(png(8, 8, more=chunk(kind, b'', length)))


@pytest.mark.slow
def test_a_png_of_110_bytes_takes_no_memory() -> None:
    bomb = png(8, 8, more=chunk(b'tEXt', b'', 0xFFFFFFF0))
    assert len(bomb) < 110
    code = (
        'import resource, sys\n'
        'from hyperseg_core.errors import InputError\n'
        'from hyperseg_core.frames.compressed import decode_rgb\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'try: decode_rgb(sys.stdin.buffer.read())\n'
        'except InputError: pass\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], input=bomb, capture_output=True, check=True
    )
    assert int(done.stdout) < 20_000  # kB; 4.1 GB before


@pytest.mark.parametrize(
    ('width', 'height', 'match'),
    [
        (15_000, 15_000, 'more than the 64000000 px'),
        (0, 8, '8 x 0 px'),
        (2**31, 1, 'expected sides of 1 to 16384'),
        (8_000, 8_000, 'times its bytes: it is damaged or a decompression bomb'),
    ],
)
def test_sizes_are_checked_before_memory_is_taken(width: int, height: int, match: str) -> None:
    with pytest.raises(InputError, match=match):
        decode_rgb(png(width, height))
    with pytest.raises(InputError, match=match):
        decode_rgb(
            _resized(JPEG, width % 2**16, height % 2**16) if width < 2**16 else png(width, 1)
        )


def _resized(jpeg: bytes, width: int, height: int) -> bytes:
    """Let a JPEG claim another size."""
    place = jpeg.index(b'\xff\xc0') + 5
    return jpeg[:place] + struct.pack('>HH', height, width) + jpeg[place + 4 :]


@pytest.mark.parametrize(('height', 'width'), [(480, 640), (960, 1280), (3000, 4000)])
@pytest.mark.parametrize('shape', ['grey', 'colour'])
def test_blank_pictures_are_no_bombs(height: int, width: int, shape: str) -> None:
    blank = np.zeros((height, width) if shape == 'grey' else (height, width, 3), np.uint8)
    best = (cv2.IMWRITE_PNG_COMPRESSION, 9)
    smallest = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    for data in (encoded('.png', blank, *best), encoded('.jpg', blank, *smallest)):
        assert decode_rgb(data).shape == (height, width, 3)
    buffer = io.BytesIO()
    PillowImage.fromarray(np.zeros((height, width), bool)).save(buffer, 'PNG')
    assert read_header(buffer.getvalue()).width == width


def _with_scans(count: int, height: int = 48, width: int = 64) -> bytes:
    """Repeat the last scan of a progressive JPEG, which costs a pass over the picture each."""
    data = encoded('.jpg', np.zeros((height, width, 3), np.uint8), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rindex(b'\xff\xda')
    return data[:-2] + data[last:-2] * count + data[-2:]


def test_scans_are_counted_before_they_are_decoded() -> None:
    assert decode_rgb(_with_scans(5)).shape == (48, 64, 3)
    start_s = time.monotonic()
    with pytest.raises(InputError, match='has 65 scans or more'):
        decode_rgb(_with_scans(2000))
    with pytest.raises(InputError, match='scans or more'):
        decode_rgb(_with_scans(60, 4000, 6000))
    assert time.monotonic() - start_s < 5


def test_limits_are_a_parameter() -> None:
    for limits in (
        PictureLimits(max_side_px=60), PictureLimits(max_pixels=1000), PictureLimits(max_ratio=1)
    ):  # fmt: skip
        with pytest.raises(InputError):
            decode_rgb(JPEG, limits)
    with pytest.raises(InputError, match='scans'):
        decode_rgb(PROGRESSIVE, PictureLimits(max_scans=2))
    with pytest.raises(InputError, match='times its bytes'):
        decode_rgb(encoded('.png', np.zeros((480, 640), np.uint8)), PictureLimits(max_ratio=100))


@pytest.mark.parametrize('compression', [None, 'tiff_lzw', 'tiff_deflate', 'packbits'])
@pytest.mark.parametrize('mode', ['L', 'RGB', 'I;16'])
def test_tiffs_are_read(mode: str, compression: str | None) -> None:
    buffer = io.BytesIO()
    grey = RGB[..., 0]
    pixels = {'L': grey, 'RGB': RGB, 'I;16': grey.astype(np.uint16) * 257}[mode]
    PillowImage.fromarray(pixels).save(buffer, 'TIFF', compression=compression)
    data = buffer.getvalue()
    assert np.array_equal(decode_plain(data), pixels[..., ::-1] if mode == 'RGB' else pixels)
    assert decode_rgb(data).shape == RGB.shape


def test_tiffs_that_claim_too_much_are_refused() -> None:
    for tag, value in ((256, 2**31), (257, 2**31), (258, 4096), (277, 4096)):
        entry = struct.pack('<HHI', tag, 4, 1)
        data = TIFF
        for kind in (3, 4):
            place = data.find(struct.pack('<HH', tag, kind))
            if place >= 0:
                data = data[:place] + entry + struct.pack('<I', value) + data[place + 12 :]
        with pytest.raises(InputError):
            decode_rgb(data)
    with pytest.raises(InputError, match='damaged or cut off'):
        decode_rgb(TIFF[:20])


def test_other_forms_are_named() -> None:
    webp = encoded('.webp')
    assert picture_form(webp) == 'WebP'
    with pytest.raises(InputError, match='is WebP; read are JPEG, PNG and TIFF'):
        decode_rgb(webp)
    with pytest.raises(InputError, match='neither JPEG, PNG nor TIFF'):
        decode_rgb(b'')


@given(
    strategies.sampled_from([JPEG, PROGRESSIVE, PNG, TIFF]),
    strategies.lists(
        strategies.tuples(strategies.integers(0, 10**4), strategies.binary(max_size=9)), max_size=6
    ),
    strategies.integers(0, 10**4),
)
@settings(max_examples=400, deadline=None)
def test_whatever_is_damaged_is_a_picture_or_an_input_error(
    data: bytes, changes: list[tuple[int, bytes]], length: int
) -> None:
    damaged = bytearray(data)
    for place, content in changes:
        begin = place % len(data)
        damaged[begin : begin + len(content)] = content
    for decode in (decode_rgb, decode_plain):
        try:
            found = decode(bytes(damaged[: max(length, 60)]))
        except InputError:
            continue
        assert found.shape[0] * found.shape[1] <= 64_000_000
