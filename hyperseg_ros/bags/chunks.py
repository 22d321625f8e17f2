# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a file's chunks in order of their time, with few chunks in memory at once."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
import heapq

from hyperseg_ros.bags.connection import StoredMessage

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
    heap: list[tuple[int, int, int, int, memoryview]] = []
    num_bytes = 0
    while waiting or heap:
        is_due = waiting and (not heap or waiting[-1].start_ns <= heap[0][0])
        if is_due and (not heap or num_bytes < _LOADED_BYTES):
            chunk = waiting.pop()
            for order, (time_ns, channel, data) in enumerate(load(chunk)):
                num_bytes += len(data)
                heapq.heappush(heap, (time_ns, chunk.offset, order, channel, data))
        elif heap:
            time_ns, _, _, channel, data = heapq.heappop(heap)
            num_bytes -= len(data)
            yield StoredMessage(time_ns, channel, bytes(data))


def chosen_chunks(chunks: Iterable[Chunk], channels: AbstractSet[int]) -> list[Chunk]:
    """Return the chunks that may have messages of some channels."""
    return [c for c in chunks if c.channels is None or c.channels & channels]
