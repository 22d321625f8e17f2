# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the `format` of a CompressedImage says is honoured."""

import io
import sys
from types import ModuleType
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage
import pytest

from hyperseg_core import InputError
from hyperseg_ros.messages import foreign_encoding
from hyperseg_ros.messages import video_packet
from hyperseg_ros.messages.compressed_image import compressed_to_rgb
from hyperseg_ros.messages.compressed_image import parse_format
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.decoding import codec_of
from hyperseg_ros.messages.mask import read_ids
from hyperseg_ros.messages.raw_image import image_to_rgb

RGB = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48))
GREY = np.ascontiguousarray(RGB[..., 0])


def encoded(ending: str, pixels: np.ndarray) -> bytes:
    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
    return bytes(cv2.imencode(ending, ordered)[1])


def raw(pixels: np.ndarray, encoding: str) -> Any:
    return SimpleNamespace(
        height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=0,
        step=pixels.strides[0], data=pixels.tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('ending', ['.png', '.tiff'])
def test_mosaics_in_files_are_the_same_as_raw(pattern: str, bits: int, ending: str) -> None:
    mosaic = GREY if bits == 8 else GREY.astype(np.uint16) * 257
    encoding = f'bayer_{pattern}{bits}'
    data = encoded(ending, mosaic)
    form = f'{encoding}; {ending[1:]} compressed '
    assert np.array_equal(compressed_to_rgb(data, form), image_to_rgb(raw(mosaic, encoding)))


def test_mosaics_that_were_debayered_before_are_left_so() -> None:
    data = encoded('.png', RGB)
    for form in ('bayer_rggb8; png compressed bgr8', 'bayer_rggb8; png compressed '):
        assert np.array_equal(compressed_to_rgb(data, form), RGB)


@pytest.mark.parametrize(
    'form',
    ['png', 'jpeg', '', '.png', 'image/png', 'rgb8; png compressed bgr8', 'bgr8; png compressed '],
)
def test_colours_are_the_files_own(form: str) -> None:
    assert np.array_equal(compressed_to_rgb(encoded('.png', RGB), form), RGB)


def test_colours_written_from_rgb_are_turned_back() -> None:
    swapped = encoded('.png', np.ascontiguousarray(RGB[..., ::-1]))
    assert np.array_equal(compressed_to_rgb(swapped, 'rgb8; png compressed rgb8'), RGB)


def test_grey_and_16_bits_are_read() -> None:
    expected = np.repeat(GREY[..., None], 3, 2)
    for pixels, form in (
        (GREY, 'mono8; png compressed '),
        (GREY.astype(np.uint16) * 257, 'mono16; png compressed '),
    ):
        assert np.array_equal(compressed_to_rgb(encoded('.png', pixels), form), expected)


def test_tiff_is_read() -> None:
    buffer = io.BytesIO()
    PillowImage.fromarray(RGB).save(buffer, 'TIFF')
    assert np.array_equal(compressed_to_rgb(buffer.getvalue(), 'bgr8; tiff compressed bgr8'), RGB)


@pytest.mark.parametrize(
    'form',
    ['16UC1; compressedDepth png', '32FC1; compressedDepth rvl', '16UC1; png compressed ',
     '32FC1; tiff compressed '],
)  # fmt: skip
def test_depth_is_named(form: str) -> None:
    with pytest.raises(InputError, match=f"'{form}' is depth"):
        compressed_to_rgb(encoded('.png', GREY), form)


@pytest.mark.parametrize(
    ('form', 'codec'),
    [('h264', 'h264'), ('video/h264', 'h264'), ('H265', 'hevc'), ('hevc', 'hevc'), ('jpeg', ''),
     ('av1', 'av1'), ('rgb8; jpeg compressed bgr8', ''), ('rgb8; h264 compressed', 'h264')],
)  # fmt: skip
def test_videos_are_known_by_their_format(form: str, codec: str) -> None:
    assert parse_format(form).video_codec == codec
    assert codec_of(SimpleNamespace(format=form)) == codec
    if codec:
        with pytest.raises(InputError, match='is a packet of a video'):
            compressed_to_rgb(b'\0\0\0\1junk', form)


def test_packets_name_their_codec() -> None:
    for name, codec in (
        ('libx264', 'h264'),
        ('hevc_nvenc', 'hevc'),
        ('h264;yuv420p;bgr8', 'h264'),
    ):
        assert codec_of(SimpleNamespace(encoding=name, pts=0)) == codec
    with pytest.raises(InputError, match='names no video codec; known: h264, hevc'):
        codec_of(SimpleNamespace(encoding='junk', pts=0))


def test_without_pyav_a_video_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'av', None)
    assert not video_packet.is_video_installed()
    packet = SimpleNamespace(format='h264', data=b'\0\0\0\1')
    with pytest.raises(InputError, match=r"needs PyAV: pip install 'hyperseg_ros\[video\]'"):
        ImageDecoder().to_rgb(packet)


@pytest.mark.parametrize('data', [b'', b'\0' * 50, b'\0\0\0\1\x67\x4d\0\x1f', b'junk' * 100])
def test_packets_that_are_none_are_input_errors(data: bytes) -> None:
    pytest.importorskip('av')
    with pytest.raises(InputError, match=r'h264 packet of .* cannot be decoded'):
        ImageDecoder().to_rgb(SimpleNamespace(format='h264', data=data))


def _bridge(convert: Any) -> ModuleType:
    module = ModuleType('cv_bridge')
    module.CvBridge = lambda: SimpleNamespace(imgmsg_to_cv2=convert)  # type: ignore[attr-defined]
    return module


def test_encodings_that_we_do_not_know_go_to_cv_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', _bridge(lambda message, wanted: RGB))
    foreign_encoding._bridge.cache_clear()
    assert np.array_equal(image_to_rgb(raw(RGB, 'yuv444')), RGB)

    def refuse(message: Any, wanted: str) -> None:
        raise RuntimeError('what is that')

    monkeypatch.setitem(sys.modules, 'cv_bridge', _bridge(refuse))
    foreign_encoding._bridge.cache_clear()
    with pytest.raises(InputError, match='neither to us nor to cv_bridge: what is that'):
        image_to_rgb(raw(RGB, 'yuv444'))
    foreign_encoding._bridge.cache_clear()


def test_a_cv_bridge_that_cannot_be_imported_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    (tmp_path / 'cv_bridge.py').write_text("raise AttributeError('_ARRAY_API not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)
    foreign_encoding._bridge.cache_clear()
    for _ in range(3):
        with pytest.raises(InputError, match="'yuv444' is not supported"):
            image_to_rgb(raw(RGB, 'yuv444'))
    assert caplog.text.count('built for another NumPy') == 1
    foreign_encoding._bridge.cache_clear()


@pytest.mark.parametrize('big', [False, True])
def test_ids_are_as_wide_as_they_are_stored(big: bool) -> None:
    ids = np.arange(-3, 45, dtype=np.int16).reshape(6, 8) * 300
    message = raw(ids.astype('>i2' if big else '<i2'), '16SC1')
    message.is_bigendian = int(big)
    assert np.array_equal(read_ids(message), ids)
    assert np.array_equal(
        read_ids(SimpleNamespace(data=encoded('.png', GREY), format='png')), GREY
    )
    for bad in (raw(RGB, 'rgb8'), SimpleNamespace(data=encoded('.png', RGB), format='png')):
        with pytest.raises(InputError, match='holds no ids'):
            read_ids(bad)
