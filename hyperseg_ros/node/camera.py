# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: input, outputs, counts and diagnostics put together."""

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.lifecycle import LifecycleNode

from hyperseg_core.labels import LabelSet
from hyperseg_ros.node.camera_input import CameraFrame
from hyperseg_ros.node.camera_input import CameraInput
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.mask_output import MaskOutput
from hyperseg_ros.node.stream_status import StreamStatus


@dataclass(slots=True)
class Camera:
    """What belongs to one camera."""

    health: StreamHealth
    source: CameraInput
    output: MaskOutput
    status: StreamStatus
    held: CameraFrame | None = None
    """A frame whose engine is being built; the worker's."""
    served_s: float = 0.0
    """Monotonic time when the worker last took a frame of it [s]."""

    def destroy(self) -> None:
        """Stop listening and destroy the publishers."""
        self.source.unsubscribe()
        self.output.destroy()


def create_camera(
    node: LifecycleNode, name: str, label_set: LabelSet, wake_worker: Callable[[], None]
) -> Camera:
    """Create a camera's publishers; it is subscribed to later.

    Args:
        node: The node.
        name: The camera's name, or '' for the only one.
        label_set: What the ids mean.
        wake_worker: Called when a frame has come.
    """
    prefix = f'{name}/' if name else ''
    health = StreamHealth()
    source = CameraInput(node, prefix, health, wake_worker)
    output = MaskOutput(node, prefix, label_set)
    status = StreamStatus(node, name or 'camera', health, source, output)
    return Camera(health, source, output, status)
