# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Building engines for new sizes of frames, beside the one that runs."""

from collections import Counter
from collections.abc import Callable
import threading

from rclpy.impl.rcutils_logger import RcutilsLogger

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.preprocessing import Size

_MAX_SIZES = 1000
"""Sizes that are remembered; a stranger one starts the count anew."""


class EngineBuilder:
    """Builds one engine at a time, on a thread of its own.

    The first size that a camera sends is worth an engine at once; any later one must come twice,
    so that a stray frame costs nothing.
    """

    def __init__(
        self, segmenter: Segmenter, logger: RcutilsLogger, wake: Callable[[], None]
    ) -> None:
        """Take what is to be made ready; `wake` is called when that is done."""
        self._segmenter, self._logger, self._wake = segmenter, logger, wake
        self._seen: Counter[Size] = Counter()
        self._refused: dict[Size, str] = {}
        self._loss: EngineError | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_building(self) -> bool:
        """Whether an engine is being built."""
        thread = self._thread  # it lets go of itself when it is done
        return thread is not None and thread.is_alive()

    def reason_against(self, size: Size) -> str:
        """Return why no engine can be built for a size; '' where none is known."""
        return self._refused.get(size, '')

    def check(self) -> None:
        """Do nothing while engines can be built.

        Raises:
            EngineError: The loss that a build ran into, which no other engine replaces.
        """
        if self._loss is not None:
            raise self._loss

    def ask_for(self, size: Size) -> bool:
        """Count a frame of a size without an engine.

        Returns:
            Whether an engine is being built for it, or is to be next.
        """
        is_first = not self._seen
        if len(self._seen) >= _MAX_SIZES and size not in self._seen:
            self._seen.clear()
        self._seen[size] += 1
        if not is_first and self._seen[size] < 2:
            return False
        if not self.is_building:
            self._thread = threading.Thread(
                target=self._build, args=(size,), name='engine-builder', daemon=True
            )
            self._thread.start()
        return True

    def _build(self, size: Size) -> None:
        try:
            self._segmenter.prepare(size)
        except Exception as error:  # engines raise classes of their own
            if isinstance(error, EngineError) and error.lost:
                self._loss = error  # of the device, not of the size
            else:
                self._refused[size] = str(error)
                self._logger.error(f'No engine for frames of {size[0]} x {size[1]} px: {error}')
        else:
            self._logger.info(f'Ready for frames of {size[0]} x {size[1]} px.')
        self._thread = None
        self._wake()

    def stop(self, timeout_s: float) -> bool:
        """Wait for the engine that is being built; tells whether it is done."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return not self.is_building
