# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each page is sent: of every kind the newest only, one message at a time.

TCP's buffers take seconds of video before a server notices that nobody reads. So the next message
waits until the page has acknowledged the last, and what came meanwhile is replaced, not queued.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
import json
import time
from typing import Any
from typing import Protocol

from hyperseg_core.errors import InputError

STALLED_S = 10.0
"""Without an acknowledgement for so long, nobody is taken to look."""


class Frame(Protocol):
    """A frame on its way."""

    @property
    def number(self) -> int:
        """What the page acknowledges it by."""

    def encoded(self, *, has_confidence: bool) -> Awaitable[bytes]:
        """Return the frame's message, with the confidence or without."""


Send = Callable[[bytes | str], Awaitable[None]]


class Client:
    """One page."""

    def __init__(self, send: Send) -> None:
        """Take what sends a message and returns when it has left."""
        self._send = send
        self.stream = ''
        """What it looks at; '' for nothing."""
        self.ground = ''
        """Whose ground it looks at; '' for nobody's."""
        self.has_confidence = False
        self._answers: deque[dict[str, Any]] = deque()
        self._state: Mapping[str, Any] | None = None
        self._frame: Frame | None = None
        self._ground: Frame | None = None
        self._is_grounds_turn = False
        self._unacknowledged: int | None = None
        self._sent_s = 0.0
        self._number = 0
        self._wake = asyncio.Event()
        self.num_sent = 0

    @property
    def num_answers(self) -> int:
        """How many answers wait to be sent."""
        return len(self._answers)

    @property
    def is_stalled(self) -> bool:
        """Whether it has not acknowledged for so long that nothing is done for it."""
        return self._unacknowledged is not None and time.monotonic() - self._sent_s > STALLED_S

    def offer_frame(self, frame: Frame) -> None:
        """Send this frame next, instead of one that was not sent yet."""
        self._frame = frame
        self._wake.set()

    def offer_ground(self, frame: Frame) -> None:
        """Send this of the ground next, instead of what was not sent yet."""
        self._ground = frame
        self._wake.set()

    def offer_state(self, state: Mapping[str, Any]) -> None:
        """Send this state next, instead of one that was not sent yet."""
        self._state = state
        self._wake.set()

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Send an answer to a request."""
        self._answers.append(dict(answer))
        self._wake.set()

    def look(self, stream: str, *, has_confidence: bool, ground: str = '') -> None:
        """Change what the page looks at."""
        if stream != self.stream:
            self._frame = None
        if ground != self.ground:
            self._ground = None
        self.ground = ground
        self.stream, self.has_confidence = stream, has_confidence

    def acknowledge(self, number: int) -> None:
        """Take the page's word that it has worked on a message.

        Raises:
            InputError: If that message was not sent, or is acknowledged already.
        """
        if number != self._unacknowledged:
            msg = f'Message {number} is acknowledged, but {self._unacknowledged} was sent last.'
            raise InputError(msg)
        self._unacknowledged = None
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._unacknowledged is not None:
                continue
            message, number = await self._next()
            if message is None:
                continue
            # Noted before: the acknowledgement may come before `send` returns.
            self._unacknowledged, self._sent_s = number, time.monotonic()
            await self._send(message)
            self.num_sent += 1

    async def _next(self) -> tuple[bytes | str | None, int]:
        """Return the next message and its number: answers, the state, frame and ground in turn."""
        state = self._state
        if self._answers:
            return self._numbered(self._answers.popleft())
        if state is not None:
            self._state = None
            return self._numbered(state)
        frame = self._next_frame()
        if frame is None:
            return None, 0
        return await frame.encoded(has_confidence=self.has_confidence), frame.number

    def _next_frame(self) -> Frame | None:
        is_ground = self._ground is not None and (self._is_grounds_turn or self._frame is None)
        self._is_grounds_turn = not is_ground
        if is_ground:
            found, self._ground = self._ground, None
        else:
            found, self._frame = self._frame, None
        return found

    def _numbered(self, message: Mapping[str, Any]) -> tuple[str, int]:
        self._number += 2  # even; frames' are odd
        return json.dumps({**message, 'number': self._number}), self._number
