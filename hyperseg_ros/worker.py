# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The thread that runs the network for all cameras, so that the executor never does."""

from collections.abc import Callable
from collections.abc import Sequence
import threading
import time

import numpy as np
from numpy.typing import NDArray
from rclpy.impl.rcutils_logger import RcutilsLogger

from hyperseg_core.errors import HyperSegError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame
from hyperseg_ros.camera_stream import CameraStream
from hyperseg_ros.camera_stream import Frame
from hyperseg_ros.camera_stream import keep_table
from hyperseg_ros.parameters import NodeParameters

_IDLE_S = 0.2


class Worker:
    """Builds the segmenter, then segments whatever is newest until it is stopped."""

    def __init__(
        self,
        build: Callable[[], Segmenter],
        parameters: Callable[[], NodeParameters],
        logger: RcutilsLogger,
    ) -> None:
        """Take what builds the segmenter and what tells the current parameters."""
        self._build, self._parameters, self._logger = build, parameters, logger
        self.streams: Sequence[CameraStream] = ()
        self.segmenter: Segmenter | None = None
        self.failure = ''
        self.is_building = True
        self._wake = threading.Event()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name='segmenter-worker', daemon=True)

    @property
    def engine(self) -> str:
        """The engine in use, for people."""
        segmenter = self.segmenter  # the worker lets go of it when it ends
        return str(segmenter.spec) if segmenter is not None else 'none yet'

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that a mailbox was filled."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Ask the thread to end; tells whether it did within the time."""
        self._is_stopped = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.segmenter = self._build()
            self.is_building = False
            self._logger.info(f'Ready: {self.engine}.')
            while not self._is_stopped:
                if not self._wake.wait(_IDLE_S):
                    continue
                self._wake.clear()
                for streams in self._batches():
                    self._segment_newest(streams)
        except Exception as error:  # it must be told: a dead worker looks like a silent camera
            if not self._is_stopped:
                self.failure = str(error)
                self._logger.error(f'Segmentation stopped: {error}')
        finally:
            self.is_building = False
            if self.segmenter is not None:
                self.segmenter.close()
            # Streams and worker know each other: without this the network stays in memory until
            # Python looks for cycles, which a quiet node seldom does.
            self.segmenter, self.streams = None, ()

    def _batches(self) -> list[list[CameraStream]]:
        """Return whose frames run at once: all cameras', or each camera's in its turn.

        A camera in its turn gives the newest frame of that moment, and its mask does not wait for
        the others'.
        """
        assert self.segmenter is not None
        if self.segmenter.runs_batches:
            return [list(self.streams)]
        return [[stream] for stream in self.streams]

    def _segment_newest(self, streams: list[CameraStream]) -> None:
        """Segment the newest frame of each of these cameras that has one, as one batch."""
        parameters = self._parameters()
        assert self.segmenter is not None
        start_s = time.monotonic()
        taken = [(stream, stream.take_due(parameters)) for stream in streams]
        frames = [(stream, frame) for stream, frame in taken if frame is not None]
        if not frames:
            return
        decoded_s = time.monotonic()
        self.segmenter.confidence_threshold = parameters.confidence_threshold
        images = [self._sized(frame, parameters) for _, frame in frames]
        try:
            self.is_building = not all(self.segmenter.is_ready(image) for image in images)
            results = self.segmenter(images)
        except HyperSegError as error:
            for stream, _ in frames:
                stream.health.frame_dropped('engine failed', str(error))
            self._logger.error(f'{error}', throttle_duration_sec=5.0)
            return
        finally:
            self.is_building = False
        segmented_s = time.monotonic()
        keep = keep_table(self.segmenter.labels, parameters.classes)
        for (stream, frame), found in zip(frames, results, strict=True):
            stages = {
                'wait': start_s - frame.arrived_s,
                'decode': decoded_s - start_s,
                'segment': segmented_s - decoded_s,
            }
            if self._is_stopped or not stream.is_listening:
                stream.health.frame_dropped('deactivated')
                continue
            stages |= stream.publish(frame, found, parameters, keep)
            stream.health.frame_published(stages)

    def _sized(self, frame: Frame, parameters: NodeParameters) -> NDArray[np.uint8]:
        """Return the pixels to segment: the camera's, or brought to the network's size."""
        assert frame.pixels is not None
        assert self.segmenter is not None
        if parameters.mask_size == 'camera':
            return frame.pixels
        config = self.segmenter.checkpoint.config
        height, width = frame.pixels.shape[:2]
        size = network_size((height, width), config, parameters.network_size)
        return resize_frame(frame.pixels, size)
