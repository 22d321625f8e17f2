# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node: a lifecycle node that turns camera topics into masks. Wiring only."""

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import HyperSegError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.inference.selection import candidates
from hyperseg_core.inference.selection import this_machine
from hyperseg_ros.camera_stream import CameraStream
from hyperseg_ros.node_process import run_node
from hyperseg_ros.parameters import NodeParameters
from hyperseg_ros.parameters import check_change
from hyperseg_ros.parameters import declare_parameters
from hyperseg_ros.parameters import read_parameters
from hyperseg_ros.worker import Worker

_STOP_S = 1.5
_SERVICE_S = 0.05
"""How long a service waits for a running inference: it is answered, the worker ends by itself."""


class SegmenterNode(LifecycleNode):
    """Subscribes to cameras, publishes class masks and diagnostics."""

    def __init__(self, node_name: str = 'segmenter', **options: Any) -> None:
        """Declare the parameters and, with `autostart`, configure and activate soon."""
        super().__init__(node_name, **options)
        self._settings: NodeParameters | None = None
        self._checkpoint: Checkpoint | None = None
        self._worker: Worker | None = None
        self._streams: list[CameraStream] = []
        self._is_active = False
        declare_parameters(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.add_post_set_parameters_callback(self._on_parameters_set)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Not the ROS clock: a paused simulation still wants to know why nothing comes out.
        steady = rclpy.clock.Clock(clock_type=rclpy.clock.ClockType.STEADY_TIME)
        self._health_timer = self.create_timer(1.0, self._report_health, clock=steady)
        self._autostart_timer = self.create_timer(0.0, self._autostart, clock=steady)

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if not self.get_parameter('autostart').value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and checkpoint, create publishers, start building the engine."""
        try:
            parameters = read_parameters(self)
            self._checkpoint = load_checkpoint(parameters.checkpoint)
            labels = self._checkpoint.labels
            labels.ids(parameters.classes)
            chosen = candidates(
                parameters.engine, parameters.device, parameters.precision, this_machine()
            )
            self._settings = parameters
            self._worker = Worker(self._build, self._current_parameters, self.get_logger())
            self._streams = [
                CameraStream(self, camera, labels, self._worker.wake)
                for camera in parameters.cameras or ('',)
            ]
            self._worker.streams = self._streams
            self._worker.start()
        except (HyperSegError, OSError) as error:
            self.get_logger().error(f'Cannot configure: {error}')
            self._release()
            return TransitionCallbackReturn.FAILURE
        self.get_logger().info(
            f'Configured: checkpoint {parameters.checkpoint!r} ({len(labels)} classes, '
            f'{labels.name}), building {chosen[0].spec} ({chosen[0].reason}).'
        )
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe."""
        try:
            assert self._settings is not None
            result = super().on_activate(state)
            for stream in self._streams:
                stream.publish_label_info(self._settings.confidence_threshold)
                stream.subscribe(self._settings.transport)
        except Exception as error:  # rclpy swallows what escapes here
            self.get_logger().error(f'Cannot activate: {error}')
            return TransitionCallbackReturn.FAILURE
        self._is_active = True
        topics = ', '.join(stream.topic for stream in self._streams)
        self.get_logger().info(f'Active: listening to {topics}.')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe."""
        self._is_active = False
        for stream in self._streams:
            stream.unsubscribe()
        self.get_logger().info('Inactive.')
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the engine and the publishers."""
        self._release(_SERVICE_S)
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self._release(_SERVICE_S)
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; the node can be configured again."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Leave the graph.

        rclpy lets go of everything but the lifecycle's state machine, whose services keep the
        participant: others would see this node until its lease ends, and its shared memory would
        outlive the process.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _release(self, timeout_s: float = _STOP_S) -> None:
        self._is_active = False
        if self._worker is not None and not self._worker.stop(timeout_s):
            self.get_logger().info('The engine is still busy; it is released when it is done.')
        for stream in self._streams:
            stream.unsubscribe()
            stream.destroy()
        self._worker, self._streams, self._checkpoint = None, [], None

    def _build(self) -> Segmenter:
        """Build the segmenter; called by the worker."""
        parameters = self._current_parameters()
        assert self._checkpoint is not None
        return Segmenter(
            self._checkpoint, parameters.engine, parameters.device, parameters.precision,
            parameters.network_size, confidence_threshold=parameters.confidence_threshold,
        )  # fmt: skip

    def _current_parameters(self) -> NodeParameters:
        assert self._settings is not None
        return self._settings

    def _on_set_parameters(self, changes: list[Parameter]) -> Any:
        labels = self._checkpoint.labels if self._checkpoint is not None else None
        return check_change(changes, labels, is_configured=self._worker is not None)

    def _on_parameters_set(self, changes: list[Parameter]) -> None:
        if self._worker is not None:
            self._settings = read_parameters(self)

    def _report_health(self) -> None:
        """Publish diagnostics and, again, what the ids mean."""
        worker = self._worker
        if worker is None or not self._is_active:
            return
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        for stream in self._streams:
            status = stream.status(worker.engine, worker.failure, is_building=worker.is_building)
            message.status.append(status)
            if self._current_parameters().publish_label_info:
                stream.publish_label_info(self._current_parameters().confidence_threshold)
        self._diagnostics.publish(message)
        if worker.failure:
            self.trigger_deactivate()
            self.trigger_cleanup()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    run_node(SegmenterNode, args, release=lambda node: node._release())


if __name__ == '__main__':
    main()
