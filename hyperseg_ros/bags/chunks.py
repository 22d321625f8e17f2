# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a file's chunks in order of their time, with few chunks in memory at once."""

from abc import ABC
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
import heapq
from pathlib import Path
from typing import BinaryIO

from hyperseg_ros.bags.connection import StoredMessage

MAX_MESSAGES = 500_000
"""Of one chunk; those of recorders have a few thousand. Each takes some memory of its own."""
_LOADED_BYTES = 512 << 20
"""Where the chunks of more bytes overlap in time, order is given up for memory."""
Loaded = Iterable[tuple[int, int, memoryview]]
"""Time [ns], channel and data of a chunk's messages."""


@dataclass(slots=True)
class Chunk:
    """A piece of a file that is read at once."""

    offset: int
    num_bytes: int
    start_ns: int = 0
    """Log time of its first message."""
    end_ns: int = 0
    channels: frozenset[int] | None = None
    """The channels that it has messages of; None: not known."""
    is_run: bool = False
    """Whether it is a run of records outside of chunks."""


def in_time_order(
    chunks: Iterable[Chunk], load: Callable[[Chunk], Loaded]
) -> Iterator[StoredMessage]:
    """Load chunks when their time has come, and give their messages in order of time."""
    waiting = sorted(chunks, key=lambda chunk: (chunk.start_ns, chunk.offset), reverse=True)
    heap: list[tuple[int, int, int, int, bytes]] = []
    num_bytes = 0
    while waiting or heap:
        is_due = waiting and (not heap or waiting[-1].start_ns <= heap[0][0])
        if is_due and (not heap or num_bytes < _LOADED_BYTES):
            chunk = waiting.pop()
            for order, (time_ns, channel, data) in enumerate(load(chunk)):
                num_bytes += len(data)
                # Copied, so that the chunk goes with all in it that nobody wants.
                heapq.heappush(heap, (time_ns, chunk.offset, order, channel, bytes(data)))
        elif heap:
            time_ns, _, _, channel, whole = heapq.heappop(heap)
            num_bytes -= len(whole)
            yield StoredMessage(time_ns, channel, whole)


def chosen_chunks(chunks: Iterable[Chunk], channels: AbstractSet[int]) -> list[Chunk]:
    """Return the chunks that may have messages of some channels."""
    return [c for c in chunks if c.channels is None or c.channels & channels]


def examined(chunk: Chunk, messages: Loaded) -> Counter[int]:
    """Learn a chunk's channels and times from its messages; returns the channels' counts."""
    counts: Counter[int] = Counter()
    start_ns, end_ns = 0, 0
    for time_ns, channel, _ in messages:
        start_ns = time_ns if not counts else min(start_ns, time_ns)
        end_ns = max(end_ns, time_ns)
        counts[channel] += 1
    chunk.channels = frozenset(counts)
    chunk.start_ns, chunk.end_ns = start_ns, end_ns
    return counts


def too_many(chunk: Chunk) -> str:
    """Say that a chunk's further messages are left out."""
    return (
        f'the chunk at byte {chunk.offset} holds more than {MAX_MESSAGES} messages; the others '
        f'are left out'
    )


class ChunkedFile(ABC):
    """A bag's file that is read chunk by chunk; its kinds find the chunks and load one."""

    def __init__(self, path: Path) -> None:
        """Start without chunks."""
        self.path = path
        self.problems: list[str] = []
        self._counts: Counter[int] = Counter()
        self._chunks: list[Chunk] = []

    def messages(self, channels: AbstractSet[int]) -> Iterator[StoredMessage]:
        """Read messages of some channels in order of their log time; what is damaged is left."""
        with self.path.open('rb') as file:
            chosen = chosen_chunks(self._chunks, channels)
            yield from in_time_order(chosen, lambda chunk: self._load(file, chunk, channels))

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    @abstractmethod
    def _load(self, file: BinaryIO, chunk: Chunk, channels: AbstractSet[int] | None) -> Loaded:
        """Read a chunk's messages, of some channels or of all."""
