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

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame
from hyperseg_ros.node.camera import Camera
from hyperseg_ros.node.camera_input import CameraFrame
from hyperseg_ros.node.engine_builder import EngineBuilder
from hyperseg_ros.node.parameters import NodeParameters

_IDLE_S = 0.2
Work = tuple[Camera, CameraFrame, NDArray[np.uint8]]
"""A camera, its frame, and the pixels to segment."""


class Worker:
    """Builds the segmenter, then segments whatever is newest until it is stopped.

    No frame, whatever is in it, ends it: what one frame raises is that frame's drop.
    """

    def __init__(
        self,
        build: Callable[[], Segmenter],
        parameters: Callable[[], NodeParameters],
        create_cameras: Callable[[Callable[[], None]], Sequence[Camera]],
        logger: RcutilsLogger,
    ) -> None:
        """Create the cameras and start the thread.

        Args:
            build: Builds the segmenter.
            parameters: Returns the current parameters.
            create_cameras: Creates the cameras, given what each calls when a frame has come.
            logger: The node's.
        """
        self._build, self._parameters, self._logger = build, parameters, logger
        self._wake = threading.Event()
        self._is_stopped = False
        self._segmenter: Segmenter | None = None
        self._builder: EngineBuilder | None = None
        self._is_starting = True
        self.failure = ''
        """What ended the thread; '' while it runs."""
        self.is_lost = False
        """Whether that was an engine that no other one replaces."""
        self.cameras = create_cameras(self._wake.set)
        self._thread = threading.Thread(target=self._run, name='segmenter-worker', daemon=True)
        self._thread.start()

    @property
    def engine(self) -> str:
        """The engine in use, for people."""
        segmenter = self._segmenter  # the thread lets go of it when it ends
        return str(segmenter.spec) if segmenter is not None else 'none yet'

    @property
    def loss(self) -> str:
        """Which engine was lost and replaced, and why; '' where none was."""
        segmenter = self._segmenter
        return segmenter.loss if segmenter is not None else ''

    @property
    def is_building(self) -> bool:
        """Whether an engine is being built."""
        builder = self._builder
        return self._is_starting or (builder is not None and builder.is_building)

    def stop(self, timeout_s: float) -> bool:
        """Ask the thread to end; tells whether it did within the time."""
        self._is_stopped = True
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        segmenter = builder = None
        try:
            segmenter = self._segmenter = self._build()
            builder = self._builder = EngineBuilder(segmenter, self._logger, self._wake.set)
            self._is_starting = False
            self._logger.info(f'Ready: {self.engine}.')
            while not self._is_stopped:
                if self._wake.wait(_IDLE_S):
                    self._wake.clear()
                    builder.check()
                    self._serve(segmenter, builder)
        except Exception as error:  # a dead worker that says nothing looks like a silent camera
            if not self._is_stopped:
                self.failure = str(error) or type(error).__name__
                is_lost = isinstance(error, EngineError) and error.lost
                # One that never ran may never run; whoever asks for an exit wants it tried.
                is_asked = self._parameters().on_engine_loss == 'exit'
                self.is_lost = is_lost and (is_asked or not self._is_starting)
                self._logger.error(f'Segmentation stopped: {self.failure}')
        finally:
            self._is_starting = False
            # Without this the network stays in memory until Python looks for cycles.
            self._segmenter = self._builder = None
            if builder is not None:
                builder.stop(timeout_s=60.0)
            if segmenter is not None:
                segmenter.close()

    def _serve(self, segmenter: Segmenter, builder: EngineBuilder) -> None:
        """Segment until no camera has a frame that can be segmented now."""
        while not self._is_stopped:
            cameras = self._next_cameras(segmenter)
            if not cameras:
                return
            parameters = self._parameters()
            work: list[Work] = []
            for camera in cameras:
                try:
                    item = self._prepared(camera, segmenter, builder, parameters)
                except Exception as error:  # whatever a frame provokes, the others go on
                    camera.health.frame_dropped('bad frame', str(error) or type(error).__name__)
                    continue
                if item is not None:
                    work.append(item)
            if work:
                self._segment(work, segmenter, parameters)

    def _prepared(
        self,
        camera: Camera,
        segmenter: Segmenter,
        builder: EngineBuilder,
        parameters: NodeParameters,
    ) -> Work | None:
        """Take a camera's frame, at the size to segment, if it can be segmented now."""
        start_s = time.monotonic()
        frame = self._take(camera, segmenter, parameters)
        if frame is None or frame.pixels is None:
            return None
        camera.health.add_stages(wait=start_s - frame.arrived_s, decode=time.monotonic() - start_s)
        pixels = self._sized(frame.pixels, segmenter, parameters)
        if segmenter.is_ready(pixels):
            return camera, frame, pixels
        self._wait_for_engine(camera, frame, pixels, builder)
        return None

    def _next_cameras(self, segmenter: Segmenter) -> list[Camera]:
        """Return the camera whose frame is next: the longest unserved.

        On its turn a camera gives the newest frame of that moment, so a slow large camera cannot
        starve a small one.
        """
        waiting = [
            camera
            for camera in self.cameras
            if camera.source.is_waiting or self._can_resume(camera, segmenter)
        ]
        return [min(waiting, key=lambda camera: camera.served_s)] if waiting else []

    def _can_resume(self, camera: Camera, segmenter: Segmenter) -> bool:
        frame = camera.held
        if frame is None or frame.pixels is None:
            return False
        return segmenter.is_ready(self._sized(frame.pixels, segmenter, self._parameters()))

    def _take(
        self, camera: Camera, segmenter: Segmenter, parameters: NodeParameters
    ) -> CameraFrame | None:
        """Take the camera's newest frame, or the one that waited for an engine."""
        camera.served_s = time.monotonic()
        frame = camera.source.take_due(parameters)
        if frame is not None:
            if camera.held is not None:  # older: its mask would come after a newer one's
                camera.health.frame_dropped('engine is being built')
                camera.held = None
            return frame
        if not self._can_resume(camera, segmenter):
            return None
        frame, camera.held = camera.held, None
        assert frame is not None
        return frame if camera.source.is_fresh(frame, parameters) else None

    def _wait_for_engine(
        self, camera: Camera, frame: CameraFrame, pixels: NDArray[np.uint8], builder: EngineBuilder
    ) -> None:
        """Keep a frame until its engine is built, or drop it where there will be none."""
        size = (pixels.shape[0], pixels.shape[1])
        reason = builder.reason_against(size)
        if reason:
            camera.health.frame_dropped('engine failed', reason)
        elif not builder.ask_for(size):
            camera.health.frame_dropped('new size', f'{size[0]} x {size[1]} px came once')
        else:
            camera.held = frame

    def _segment(self, work: list[Work], segmenter: Segmenter, parameters: NodeParameters) -> None:
        """Segment and publish the frames of some cameras, as one batch."""
        start_s = time.monotonic()
        segmenter.confidence_threshold = parameters.confidence_threshold
        try:
            results = segmenter([pixels for _, _, pixels in work])
        except Exception as error:  # engines raise classes of their own
            problem = str(error) or type(error).__name__
            for camera, _, _ in work:
                camera.health.frame_dropped('engine failed', problem)
            if isinstance(error, EngineError) and error.lost:
                raise
            self._logger.error(f'{problem}', throttle_duration_sec=5.0)
            return
        elapsed_s = time.monotonic() - start_s
        for (camera, frame, _), found in zip(work, results, strict=True):
            camera.health.add_stages(segment=elapsed_s)
            self._publish(camera, frame, found, parameters)

    def _publish(
        self, camera: Camera, frame: CameraFrame, found: Segmentation, parameters: NodeParameters
    ) -> None:
        source = camera.source
        if self._is_stopped or not source.is_listening:
            camera.health.frame_dropped('deactivated')
            return
        # Again, as a process that was stopped for a while goes on with what it had.
        if not source.is_fresh(frame, parameters):
            return
        start_s = time.monotonic()
        try:
            camera.output.publish(frame, found, parameters, source.camera_info)
        except Exception as error:  # e.g. a header that cannot be serialised
            problem = str(error) or type(error).__name__
            camera.health.frame_dropped('not publishable', problem)
            self._logger.error(
                f'{source.topic}: a mask cannot be published: {problem}', throttle_duration_sec=5.0
            )
            return
        age_s = frame.age_s(source.now_ns())
        camera.health.add_stages(publish=time.monotonic() - start_s)
        if age_s is not None:
            camera.health.add_stages(age=age_s)
        camera.health.frame_published()

    def _sized(
        self, pixels: NDArray[np.uint8], segmenter: Segmenter, parameters: NodeParameters
    ) -> NDArray[np.uint8]:
        """Return the pixels to segment: the camera's, or brought to the network's size."""
        if parameters.mask_size == 'camera':
            return pixels
        height, width = pixels.shape[:2]
        config = segmenter.checkpoint.config
        return resize_frame(pixels, network_size((height, width), config, parameters.network_size))
