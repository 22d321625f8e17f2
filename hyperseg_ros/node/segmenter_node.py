# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node: a lifecycle node that turns camera topics into masks. Wiring only."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.machine import this_machine
from hyperseg_core.inference.progress import BuildProgress
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.inference.selection import candidates
from hyperseg_ros.node.camera import Camera
from hyperseg_ros.node.camera import create_camera
from hyperseg_ros.node.declaration import check_change
from hyperseg_ros.node.declaration import declare_parameters
from hyperseg_ros.node.declaration import read_parameters
from hyperseg_ros.node.engine_status import engine_status
from hyperseg_ros.node.parameters import SPECS
from hyperseg_ros.node.parameters import NodeParameters
from hyperseg_ros.node.parameters import changed
from hyperseg_ros.node.stream_status import failed_status
from hyperseg_ros.node.worker import Worker
from hyperseg_ros.process.manager_bond import ManagerBond
from hyperseg_ros.process.manager_bond import check_bonding
from hyperseg_ros.process.running import EndOfProcess
from hyperseg_ros.process.running import run_node
from hyperseg_ros.process.status import ENGINE_LOST

_STOP_S = 1.5
_SERVICE_S = 0.05
"""How long a service waits for a running inference: it is answered, the worker ends by itself."""


class SegmenterNode(LifecycleNode):
    """Subscribes to cameras, publishes class masks and diagnostics."""

    def __init__(self, node_name: str = 'segmenter', **options: Any) -> None:
        """Declare the parameters and, with `autostart`, configure and activate soon."""
        super().__init__(node_name, **options)
        self._settings = NodeParameters()
        self._checkpoint: Checkpoint | None = None
        self._worker: Worker | None = None
        self._bond: ManagerBond | None = None
        self._is_active = False
        self._failure = ''
        self._progress = BuildProgress()
        self._wrong_parameters = declare_parameters(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
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
            chosen = self._prepare()
        except Exception as error:  # rclpy swallows what escapes here
            self._fail(f'Cannot configure: {error}')
            self.release()
            return TransitionCallbackReturn.FAILURE
        self._failure = ''
        label_set = self._checkpoint.label_set if self._checkpoint is not None else ()
        self.get_logger().info(
            f'Configured: checkpoint {self._settings.checkpoint!r} ({len(label_set)} classes), '
            f'building {chosen}.'
        )
        return super().on_configure(state)

    def _prepare(self) -> str:
        """Create what the parameters ask for; returns the engine that is tried first."""
        for problem in self._wrong_parameters.values():
            raise ConfigError(problem)
        parameters = self._settings = read_parameters(self)
        if parameters.bond:
            check_bonding()
        checkpoint = self._checkpoint = load_checkpoint(parameters.checkpoint)
        checkpoint.label_set.ids(parameters.classes)
        first = candidates(
            parameters.engine, parameters.device, parameters.precision, this_machine()
        )[0]
        self._worker = Worker(
            self._build, lambda: self._settings, self._create_cameras, self.get_logger()
        )
        return f'{first.spec} ({first.reason})'

    def _create_cameras(self, wake_worker: Callable[[], None]) -> Sequence[Camera]:
        assert self._checkpoint is not None
        label_set = self._checkpoint.label_set
        cameras: list[Camera] = []
        try:
            for name in self._settings.cameras or ('',):
                cameras.append(create_camera(self, name, label_set, wake_worker))
        except Exception:
            for camera in cameras:  # nobody else knows of them yet
                camera.destroy()
            raise
        return cameras

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe."""
        try:
            result = super().on_activate(state)
            for camera in self._cameras:
                camera.output.publish_label_info(self._settings.confidence_threshold)
                camera.source.subscribe(self._settings.transport)
            self._bond = ManagerBond(self) if self._settings.bond else None
        except Exception as error:  # rclpy swallows what escapes here
            self._fail(f'Cannot activate: {error}')
            for camera in self._cameras:
                camera.source.unsubscribe()
            return TransitionCallbackReturn.FAILURE
        self._is_active, self._failure = True, ''
        topics = ', '.join(camera.source.topic for camera in self._cameras)
        self.get_logger().info(f'Active: listening to {topics}.')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe."""
        self._stop_listening()
        self.get_logger().info('Inactive.')
        return super().on_deactivate(state)

    def _stop_listening(self) -> None:
        self._is_active = False
        for camera in self._cameras:
            camera.source.unsubscribe()
        if self._bond is not None:
            self._bond.end()
            self._bond = None

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the engine and the publishers."""
        self.release(_SERVICE_S)
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release(_SERVICE_S)
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; the node can be configured again."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Leave the graph.

        rclpy lets go of everything but the lifecycle's state machine, whose services keep the
        participant: others would see this node until its lease ends, and its shared memory would
        outlive the process.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    @property
    def _cameras(self) -> Sequence[Camera]:
        return self._worker.cameras if self._worker is not None else ()

    def _fail(self, reason: str) -> None:
        """Log what went wrong; diagnostics repeat it until the node is configured."""
        self._failure = ' '.join(reason.split())
        self.get_logger().error(self._failure)

    def release(self, timeout_s: float = _STOP_S) -> None:
        """Let go of engine and cameras, as before the node was configured."""
        self._stop_listening()
        if self._worker is not None and not self._worker.stop(timeout_s):
            self.get_logger().info('The engine is still busy; it is released when it is done.')
        for camera in self._cameras:
            camera.destroy()
        self._worker = self._checkpoint = None

    def _build(self) -> Segmenter:
        """Build the segmenter; called by the worker."""
        parameters = self._settings
        assert self._checkpoint is not None
        return Segmenter(
            self._checkpoint, parameters.engine, parameters.device, parameters.precision,
            parameters.network_size, confidence_threshold=parameters.confidence_threshold,
            fallback_ready=parameters.fallback_ready and parameters.on_engine_loss == 'next',
            replaces_lost=parameters.on_engine_loss == 'next', progress=self._progress,
        )  # fmt: skip

    def _on_set_parameters(self, changes: list[Parameter]) -> Any:
        label_set = self._checkpoint.label_set if self._checkpoint is not None else None
        result = check_change(changes, label_set, is_configured=self._worker is not None)
        if result.successful:
            known = {item.name: item.value for item in changes if item.name in SPECS}
            self._settings = changed(self._settings, known)
            for name in known:
                self._wrong_parameters.pop(name, None)
        return result

    def _report_health(self) -> None:
        """Publish diagnostics and, to new subscribers, what the ids mean."""
        worker = self._worker
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        if worker is not None and self._is_active:
            for camera in worker.cameras:
                message.status.append(
                    camera.status.message(
                        worker.engine, worker.failure, is_building=worker.is_building
                    )
                )
                if self._settings.publish_label_info:
                    camera.output.publish_label_info(self._settings.confidence_threshold)
        elif self._failure:
            message.status.append(failed_status(self, 'segmenter', self._failure))
        if worker is not None:
            message.status.append(
                engine_status(self, worker, self._progress, is_cpu=self._settings.device == 'cpu')
            )
        if message.status:
            self._diagnostics.publish(message)
        if worker is not None and worker.is_lost:
            raise EndOfProcess(ENGINE_LOST)
        if worker is not None and worker.failure:
            self._failure = f'The engine failed: {worker.failure}'
            if self._is_active:
                self.trigger_deactivate()
            self.trigger_cleanup()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    run_node(SegmenterNode, args, release=lambda node: node.release())


if __name__ == '__main__':
    main()
