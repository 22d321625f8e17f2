# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from hyperseg_ros.messages.encoding import image_fields
from hyperseg_ros.viewer.frames import Moment
from hyperseg_ros.viewer.frames import SharedFrame
from hyperseg_ros.viewer.frames import encode_moment
from hyperseg_ros.viewer.protocol import unpack_frame

IDS = np.random.default_rng(0).integers(0, 11, (20, 30), np.uint8)


def image(pixels: Any, encoding: str) -> Any:
    return SimpleNamespace(**image_fields(pixels, encoding))


def moment(**layers: Any) -> Moment:
    return Moment('/s/mask', (5, 6), {name: lambda m=m: m for name, m in layers.items()})


def test_frame_has_stamp_sizes_and_the_ids_untouched() -> None:
    picture = image(np.full((40, 60, 3), 100, np.uint8), 'rgb8')
    found = moment(picture=picture, ids=image(IDS, 'mono8'), confidence=image(IDS, 'mono8'))
    header, parts = unpack_frame(encode_moment(found, 3, False))
    assert (header['number'], header['stream'], header['stamp']) == (3, '/s/mask', [5, 6])
    assert header['sizes'] == {'picture': [40, 60], 'ids': [20, 30]}
    assert parts['confidence'] == b''
    read = cv2.imdecode(np.frombuffer(parts['ids'], np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, IDS)


def test_what_cannot_be_read_is_told_in_its_place() -> None:
    found = moment(picture=image(IDS, '32FC1'), ids=image(IDS, 'mono8'))
    header, parts = unpack_frame(encode_moment(found, 3, True))
    assert 'depth' in header['problems']['picture']
    assert parts['picture'] == b''
    assert parts['ids']


def test_a_message_that_nobody_can_read_is_told_too() -> None:
    def read() -> Any:
        raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'no text')

    found = Moment('/s/mask', (1, 2), {'picture': read})
    header, _ = unpack_frame(encode_moment(found, 3, False))
    assert 'no text' in header['problems']['picture']


def test_wide_ids_of_16_bits_become_8() -> None:
    wide = np.array([[3, 300]], np.uint16)
    message = SimpleNamespace(
        height=1, width=2, encoding='mono16', is_bigendian=0, step=4, data=wide.tobytes()
    )
    _, parts = unpack_frame(encode_moment(moment(ids=message), 3, False))
    read = cv2.imdecode(np.frombuffer(parts['ids'], np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.tolist() == [[3, 255]]


def test_frame_is_encoded_once_for_all_clients_and_only_when_one_takes_it() -> None:
    num_read = 0

    def read() -> Any:
        nonlocal num_read
        num_read += 1
        return image(IDS, 'mono8')

    async def run() -> None:
        with ThreadPoolExecutor(1) as workers:
            frame = SharedFrame(Moment('/s/mask', (1, 2), {'ids': read}), 3, workers)
            assert num_read == 0
            first, second = await asyncio.gather(
                frame.encoded(has_confidence=False), frame.encoded(has_confidence=False)
            )
            assert first is second

    asyncio.run(run())
    assert num_read == 1
