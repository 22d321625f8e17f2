# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Serves pages with the frames of files: each is segmented once, and then shown at will."""

import asyncio
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.render import encode_jpeg
from hyperseg_ros.viewer.clients import Client
from hyperseg_ros.viewer.encoding import encode_values
from hyperseg_ros.viewer.file_frames import FileFrame
from hyperseg_ros.viewer.file_frames import FileFrames
from hyperseg_ros.viewer.file_frames import known_truth
from hyperseg_ros.viewer.frames import MAX_WIDTH
from hyperseg_ros.viewer.protocol import Acknowledge
from hyperseg_ros.viewer.protocol import Hello
from hyperseg_ros.viewer.protocol import Look
from hyperseg_ros.viewer.protocol import Request
from hyperseg_ros.viewer.protocol import Seek
from hyperseg_ros.viewer.recording import Recording

_STREAM = 'files'
_PERIOD_S = 0.5
_MAX_PROBLEMS = 20


class _StoredFrame:
    """A recorded frame on its way to one page."""

    def __init__(self, recording: Recording, index: int, number: int) -> None:
        self._recording, self._index, self.number = recording, index, number

    async def encoded(self, *, has_confidence: bool) -> bytes:
        """Return the frame's message; the confidence is always in it."""
        return self._recording.message(self._index, self.number)


class FileHub:
    """Stands where the live hub stands; there is no graph, and no node to be asked."""

    def __init__(self, frames: FileFrames, segmenter: Segmenter) -> None:
        """Take what is shown, and what segments it."""
        self._frames, self._segmenter = frames, segmenter
        self._recording = Recording()
        self._places: dict[Client, int] = {}
        """Of each page, the frame that it wants next."""
        self._number = 1
        self._failure = ''
        self._is_finished = False
        self._stop = threading.Event()

    async def run(self) -> None:
        """Segment, and tell pages how far that is, until cancelled."""
        reading = threading.Thread(target=self._read, name='segment', daemon=True)
        reading.start()
        try:
            told: dict[str, Any] = {}
            while True:
                state = self.state()
                if state != told:
                    told = state
                    self._tell()
                for client, place in self._places.items():
                    if place < 0 and len(self._recording):
                        self._show(client, 0)
                await asyncio.sleep(_PERIOD_S)
        finally:
            self._stop.set()

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if self._stop.is_set():
                    return
                self._record(frame)
        except (HyperSegError, OSError) as error:
            self._failure = str(error)
        except Exception as error:  # whatever a damaged file provokes is told on the page
            self._failure = f'{type(error).__name__}: {error}'
        self._is_finished = True

    def _record(self, frame: FileFrame) -> None:
        answer = self._segmenter(frame.pixels)
        truth = known_truth(frame, len(self._segmenter.label_set))
        layers = (answer.class_ids, answer.confidence, truth)
        parts = [encode_jpeg(frame.pixels, MAX_WIDTH), *map(_encoded, layers)]
        size = list(frame.pixels.shape[:2])
        header = {
            'stream': _STREAM, 'stamp': list(frame.stamp), 'problems': {}, 'name': frame.name,
            'index': len(self._recording), 'sizes': {'picture': size, 'ids': size},
        }  # fmt: skip
        self._recording.add(header, parts)

    def state(self) -> dict[str, Any]:
        """Return what pages are told: one segmenter with one stream, and the time line."""
        labels = self._segmenter.label_set
        classes = [
            {'id': index, 'name': item.name, 'colour': list(item.colour)}
            for index, item in enumerate(labels.classes)
        ]
        count, problems = len(self._recording), self._frames.problems
        cause = self._failure
        if not count and not cause:
            cause = 'It has no frames.' if self._is_finished else 'Segmenting the first frame.'
        more = len(problems) - _MAX_PROBLEMS
        told = problems[:_MAX_PROBLEMS] + ([f'and {more} more'] if more > 0 else [])
        stream = {
            'id': _STREAM, 'name': self._frames.title, 'topic': str(self._segmenter.spec),
            'classes': classes, 'report': None, 'cause': cause,
        }  # fmt: skip
        segmenter = {
            'name': 'files', 'lifecycle': '', 'transitions': [], 'engine': None, 'cause': cause,
            'streams': [stream],
        }  # fmt: skip
        timeline = {
            'count': count, 'total': count if self._is_finished else self._frames.total,
            'rate_hz': self._frames.rate_hz, 'is_finished': self._is_finished, 'problems': told,
        }  # fmt: skip
        return {'type': 'state', 'cause': '', 'segmenters': [segmenter], 'timeline': timeline}

    def _tell(self) -> None:
        for client in self._places:
            if not client.is_stalled:
                client.offer_state(self.state())

    def _show(self, client: Client, index: int) -> None:
        self._number += 2
        self._places[client] = index
        client.offer_frame(_StoredFrame(self._recording, index, self._number))

    def enter(self, client: Client) -> None:
        """Serve a client from now on."""
        self._places[client] = -1
        client.offer_state(self.state())

    def leave(self, client: Client) -> None:
        """Serve it no longer."""
        self._places.pop(client, None)

    @property
    def num_clients(self) -> int:
        """How many pages are served."""
        return len(self._places)

    def take(self, client: Client, request: Request) -> None:
        """Do what a client asks for.

        Raises:
            InputError: If it asks for what no page asks for.
        """
        if isinstance(request, Acknowledge):
            client.acknowledge(request.number)
        elif isinstance(request, Look):
            client.look(request.stream, has_confidence=request.has_confidence)
            if request.stream == _STREAM and len(self._recording):
                self._show(client, max(self._places[client], 0))
        elif isinstance(request, Seek):
            if not request.index < len(self._recording):
                msg = f'Frame {request.index} is not there: {len(self._recording)} are.'
                raise InputError(msg)
            self._show(client, request.index)
        elif isinstance(request, Hello):
            msg = 'Message hello comes once, first.'
            raise InputError(msg)
        else:
            told = 'Files have no node.'
            client.answer({'type': 'answer', 'request': request.request, 'error': told})


def _encoded(values: NDArray[np.uint8] | None) -> bytes:
    return b'' if values is None else encode_values(values, MAX_WIDTH)
