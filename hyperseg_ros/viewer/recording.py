# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames that were segmented once, to be shown in any order: encoded, in a temporary file."""

from collections.abc import Mapping
from collections.abc import Sequence
import os
import tempfile
from typing import Any

from hyperseg_ros.viewer.protocol import pack_frame


class Recording:
    """Grows at its end; what it holds can be read at any time, from any thread."""

    def __init__(self) -> None:
        """Make the file, which has no name and is gone with this process."""
        self._file = tempfile.TemporaryFile(prefix='hyperseg_view_')
        self._items: list[tuple[Mapping[str, Any], int, list[int]]] = []
        self._end = 0

    def __len__(self) -> int:
        """Return how many frames it holds."""
        return len(self._items)

    def add(self, header: Mapping[str, Any], parts: Sequence[bytes]) -> None:
        """Append a frame.

        Raises:
            OSError: If there is no room.
        """
        data = b''.join(parts)
        view, written = memoryview(data), 0
        while written < len(data):
            written += os.pwrite(self._file.fileno(), view[written:], self._end + written)
        self._items.append((header, self._end, list(map(len, parts))))
        self._end += len(data)

    def message(self, index: int, number: int) -> bytes:
        """Return a frame as pages get it, under a number that they acknowledge."""
        header, begin, lengths = self._items[index]
        data = os.pread(self._file.fileno(), sum(lengths), begin)
        parts, start = [], 0
        for length in lengths:
            parts.append(data[start : start + length])
            start += length
        return pack_frame({**header, 'number': number}, parts)
