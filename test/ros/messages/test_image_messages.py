# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from typing import Any

import cv2
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies
import numpy as np
import pytest

from hyperseg_core import InputError
from hyperseg_ros.messages.camera_info import scaled_camera_info
from hyperseg_ros.messages.compressed_image import compressed_to_rgb
from hyperseg_ros.messages.encoding import encode_png
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.messages.raw_image import ENCODINGS
from hyperseg_ros.messages.raw_image import image_to_rgb

RNG = np.random.default_rng(0)
RGB = cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (32, 24))
GREY = RGB[..., 0]


def message(pixels: np.ndarray, encoding: str, *, pad: int = 0, big: bool = False) -> Any:
    rows = pixels.reshape(pixels.shape[0], -1)
    if rows.dtype == np.uint16:
        rows = rows.astype('>u2' if big else '<u2').view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    height = len(rows) * 2 // 3 if encoding.startswith('nv') else len(rows)
    width = pixels.shape[1]
    return SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=int(big), step=rows.shape[1],
        data=rows.tobytes(),
    )  # fmt: skip


def _mosaic(pattern: str) -> np.ndarray:
    """Make the raw image of a Bayer sensor that sees RGB; rows of the pattern, first row first."""
    raw = np.zeros(RGB.shape[:2], np.uint8)
    for index, letter in enumerate(pattern):
        y, x = divmod(index, 2)
        raw[y::2, x::2] = RGB[y::2, x::2, 'rgb'.index(letter)]
    return raw


PLAIN = {
    'rgb8': RGB,
    'bgr8': RGB[..., ::-1],
    'rgba8': np.dstack((RGB, GREY)),
    'bgra8': np.dstack((RGB[..., ::-1], GREY)),
    '8UC3': RGB[..., ::-1],
    '8UC4': np.dstack((RGB[..., ::-1], GREY)),
    'rgb16': RGB.astype(np.uint16) * 257,
    'bgr16': RGB[..., ::-1].astype(np.uint16) * 257,
    'rgba16': np.dstack((RGB, GREY)).astype(np.uint16) * 257,
    'bgra16': np.dstack((RGB[..., ::-1], GREY)).astype(np.uint16) * 257,
}


@pytest.mark.parametrize('encoding', PLAIN)
@pytest.mark.parametrize('pad', [0, 5])
@pytest.mark.parametrize('big', [False, True])
def test_colour_encodings_are_exact(encoding: str, pad: int, big: bool) -> None:
    pixels = np.ascontiguousarray(PLAIN[encoding])
    assert np.array_equal(image_to_rgb(message(pixels, encoding, pad=pad, big=big)), RGB)


@pytest.mark.parametrize(('encoding', 'factor'), [('mono8', 1), ('8UC1', 1), ('mono16', 257)])
@pytest.mark.parametrize('big', [False, True])
def test_grey_encodings_are_exact(encoding: str, factor: int, big: bool) -> None:
    pixels = GREY.astype(np.uint16) * factor if factor > 1 else GREY
    found = image_to_rgb(message(np.ascontiguousarray(pixels), encoding, big=big, pad=2))
    assert np.array_equal(found, np.repeat(GREY[..., None], 3, 2))


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_patterns_give_the_colours_back(pattern: str, bits: int) -> None:
    raw = _mosaic(pattern)
    pixels = raw.astype(np.uint16) * 257 if bits == 16 else raw
    found = image_to_rgb(message(pixels, f'bayer_{pattern}{bits}')).astype(int)
    error = np.abs(found[2:-2, 2:-2] - RGB[2:-2, 2:-2]).mean()
    swapped = np.abs(found[2:-2, 2:-2] - RGB[2:-2, 2:-2, ::-1]).mean()
    assert error < 15
    assert error < 0.5 * swapped


def _yuv() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    planes = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420)
    height, width = GREY.shape
    y = planes[:height]
    u = planes[height : height + height // 4].reshape(height // 2, width // 2)
    v = planes[height + height // 4 :].reshape(height // 2, width // 2)
    return y, u, v


@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuv422', 'uyvy'), ('uyvy', 'uyvy'), ('yuv422_yuy2', 'yuyv'), ('yuyv', 'yuyv')],
)
def test_yuv422_is_close(encoding: str, order: str) -> None:
    y, u, v = _yuv()
    chroma = np.empty_like(y)
    chroma[:, 0::2], chroma[:, 1::2] = u.repeat(2, 0), v.repeat(2, 0)
    pair = (chroma, y) if order == 'uyvy' else (y, chroma)
    found = image_to_rgb(message(np.dstack(pair), encoding, pad=4))
    assert np.abs(found.astype(int) - RGB).mean() < 12
    assert np.abs(found.astype(int) - RGB[..., ::-1]).mean() > 20


@pytest.mark.parametrize('encoding', ['nv12', 'nv21'])
def test_planar_yuv_is_close(encoding: str) -> None:
    y, u, v = _yuv()
    pair = (u, v) if encoding == 'nv12' else (v, u)
    chroma = np.dstack(pair).reshape(len(u), -1)
    found = image_to_rgb(message(np.vstack((y, chroma)), encoding, pad=8))
    assert found.shape == RGB.shape
    assert np.abs(found.astype(int) - RGB).mean() < 12
    assert np.abs(found.astype(int) - RGB[..., ::-1]).mean() > 20


def test_every_encoding_is_tested() -> None:
    bayer = {f'bayer_{p}{b}' for p in ('rggb', 'bggr', 'gbrg', 'grbg') for b in (8, 16)}
    others = {'mono8', '8UC1', 'mono16', 'yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv12', 'nv21'}
    assert set(ENCODINGS) == set(PLAIN) | bayer | others


def test_rgb8_is_a_view_on_the_message() -> None:
    source = message(RGB, 'rgb8')
    assert np.shares_memory(image_to_rgb(source), np.frombuffer(source.data, np.uint8))


@pytest.mark.parametrize(
    ('change', 'match'),
    [
        ({'encoding': 'yuv444'}, r"'yuv444' is not supported; known: 8UC1"),
        ({'encoding': '32FC1'}, r"'32FC1' is depth or ids"),
        ({'data': b'\0' * 100}, r'100 bytes of data, expected at least 2304'),
        ({'height': 0}, r'0 x 32 px'),
        ({'width': 0}, r'24 x 0 px'),
        ({'height': 2**31}, r'2147483648 x 32 px'),
        ({'height': 16000, 'width': 16000, 'step': 48000}, r'more than the 64000000 px'),
        ({'step': 95}, r'step 95 bytes, but a row needs 96'),
        ({'step': 97}, r'2304 bytes of data, expected at least 2327'),
    ],
)
def test_bad_images_are_refused(change: dict[str, Any], match: str) -> None:
    bad = message(RGB, 'rgb8')
    for name, value in change.items():
        setattr(bad, name, value)
    with pytest.raises(InputError, match=match):
        image_to_rgb(bad)


@given(
    height=strategies.integers(0, 2**32 - 1),
    width=strategies.integers(0, 2**32 - 1),
    step=strategies.integers(0, 2**32 - 1),
    encoding=strategies.sampled_from([*ENCODINGS, '', 'junk', 'rgb8; x']),
    data=strategies.binary(max_size=4096),
    big=strategies.integers(0, 255),
)
@settings(max_examples=300, deadline=None)
def test_whatever_arrives_is_an_image_or_an_input_error(
    height: int, width: int, step: int, encoding: str, data: bytes, big: int
) -> None:
    odd = SimpleNamespace(
        height=height, width=width, step=step, encoding=encoding, data=data, is_bigendian=big
    )
    try:
        found = image_to_rgb(odd)
    except InputError:
        return
    assert found.shape == (height, width, 3)


@given(
    strategies.integers(1, 20), strategies.integers(1, 20), strategies.integers(0, 9),
    strategies.sampled_from(['rgb8', 'bgr8', 'rgba8', 'mono8', 'bgr16']),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_step_and_size_are_honoured(height: int, width: int, pad: int, encoding: str) -> None:
    channels = {'rgba8': 4, 'mono8': 1}.get(encoding, 3)
    kind = np.uint16 if encoding.endswith('16') else np.uint8
    pixels = RNG.integers(0, 255, (height, width, channels)).astype(kind)
    found = image_to_rgb(message(pixels, encoding, pad=pad))
    first = pixels[0, 0] >> 8 if kind is np.uint16 else pixels[0, 0]
    expected = {'mono8': [first[0]] * 3}.get(encoding, list(first[:3]))
    expected = expected[::-1] if encoding.startswith('bgr') else expected
    assert found.shape == (height, width, 3)
    assert found[0, 0].tolist() == [int(value) for value in expected]


@pytest.mark.parametrize('ending', ['.png', '.jpg'])
def test_compressed_images_decode(ending: str) -> None:
    _, data = cv2.imencode(ending, RGB[..., ::-1].copy(), [cv2.IMWRITE_JPEG_QUALITY, 100])
    found = compressed_to_rgb(data.tobytes())
    assert np.abs(found.astype(int) - RGB).mean() < 6


def test_broken_compressed_images_are_refused() -> None:
    _, jpeg = cv2.imencode('.jpg', RGB)
    with pytest.raises(InputError, match='cut off'):
        compressed_to_rgb(jpeg.tobytes()[:-200])
    with pytest.raises(InputError, match='neither JPEG, PNG nor TIFF'):
        compressed_to_rgb(b'garbage')
    with pytest.raises(InputError, match='neither JPEG, PNG nor TIFF'):
        compressed_to_rgb(b'')


def test_decompression_bomb_is_refused_before_memory_is_taken() -> None:
    import struct
    import tracemalloc
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack('>I', zlib.crc32(kind + body))
        return struct.pack('>I', len(body)) + kind + body + crc

    header = struct.pack('>IIBBBBB', 15_000, 15_000, 8, 2, 0, 0, 0)
    bomb = (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', b'') + chunk(b'IEND', b'')
    )
    tracemalloc.start()
    with pytest.raises(InputError, match=r'more than the|refused'):
        compressed_to_rgb(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_png_masks_are_lossless_and_reproducible() -> None:
    data = encode_png(GREY)
    assert data == encode_png(GREY)
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), GREY)


def test_fill_image_writes_what_image_to_rgb_reads() -> None:
    filled = fill_image(SimpleNamespace(), RGB[:, ::-1], 'rgb8')
    assert np.array_equal(image_to_rgb(filled), RGB[:, ::-1])
    assert filled.step == 96


def test_camera_info_scales_focal_lengths_and_centres() -> None:
    info = SimpleNamespace(
        height=480, width=640, k=[500, 0, 320, 0, 500, 240, 0, 0, 1],
        p=[500, 0, 320, -50, 0, 500, 240, 0, 0, 0, 1, 0], d=[0.1], binning_x=0, binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0),
    )  # fmt: skip
    half = scaled_camera_info(info, 240, 320)
    assert (half.height, half.width) == (240, 320)
    assert list(half.k) == [250, 0, 160, 0, 250, 120, 0, 0, 1]
    assert list(half.p) == [250, 0, 160, -25, 0, 250, 120, 0, 0, 0, 1, 0]
    assert info.height == 480
