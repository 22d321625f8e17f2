# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One moment of a camera as clients get it: encoded once for all, and only if one takes it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperseg_core.render import encode_jpeg
from hyperseg_ros.messages.decoding import ImageDecoder
from hyperseg_ros.messages.mask import read_ids
from hyperseg_ros.viewer.encoding import encode_values
from hyperseg_ros.viewer.pairing import Stamp
from hyperseg_ros.viewer.protocol import pack_frame

MAX_WIDTH = 1280
"""Of what is sent [px]; screens show no more, and weak networks carry no more."""
Read = Callable[[], Any]
"""Returns a message; it is read from its bytes when it is wanted."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a camera and its segmenter said of one stamp."""

    stream: str
    stamp: Stamp
    layers: dict[str, Read]
    """Of `picture`, `ids`, `confidence`, those that came."""


class SharedFrame:
    """A moment, encoded for the first client that takes it, and not again for the others."""

    def __init__(self, moment: Moment, number: int, workers: Executor) -> None:
        """Take the moment, the number that clients acknowledge, and who encodes."""
        self.moment, self.number = moment, number
        self._workers = workers
        self._encoded: dict[bool, asyncio.Future[bytes]] = {}

    def encoded(self, *, has_confidence: bool) -> 'asyncio.Future[bytes]':
        """Return the frame's message, with the confidence or without."""
        if has_confidence not in self._encoded:
            loop = asyncio.get_running_loop()
            self._encoded[has_confidence] = loop.run_in_executor(
                self._workers, encode_moment, self.moment, self.number, has_confidence
            )
        return self._encoded[has_confidence]


def encode_moment(moment: Moment, number: int, has_confidence: bool) -> bytes:
    """Return a moment as a frame's message; what cannot be read is told in its place."""
    sizes: dict[str, list[int]] = {}
    problems: dict[str, str] = {}
    parts = []
    for name, encode in (
        ('picture', _picture), ('ids', _ids), ('confidence', _ids),
    ):  # fmt: skip
        read = moment.layers.get(name)
        if read is None or (name == 'confidence' and not has_confidence):
            parts.append(b'')
            continue
        try:
            part, sizes[name] = encode(read())
        except Exception as error:  # as in the node, whatever a message provokes is told
            part, problems[name] = b'', str(error)
        parts.append(part)
    header = {
        'number': number, 'stream': moment.stream, 'stamp': list(moment.stamp), 'sizes': sizes,
        'problems': problems,
    }  # fmt: skip
    return pack_frame(header, [*parts, b''])  # the truth is known of files only


def _picture(message: Any) -> tuple[bytes, list[int]]:
    pixels = message if isinstance(message, np.ndarray) else ImageDecoder().to_rgb(message)
    return encode_jpeg(pixels, MAX_WIDTH), list(pixels.shape[:2])


def _ids(message: Any) -> tuple[bytes, list[int]]:
    ids = read_ids(message)
    values = np.clip(ids, 0, 255).astype(np.uint8) if ids.dtype != np.uint8 else ids.view(np.uint8)
    return encode_values(values, MAX_WIDTH), list(values.shape)
