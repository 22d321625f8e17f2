# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera's diagnostics: rates, stage times, drops by cause, and why nothing comes out."""

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.lifecycle import LifecycleNode

from hyperseg_ros.graph.image_topics import refused_subscribers
from hyperseg_ros.graph.image_topics import similar_topics
from hyperseg_ros.graph.image_topics import wrong_type
from hyperseg_ros.node.camera_input import CameraInput
from hyperseg_ros.node.health import REMEDY_OF_LOSS
from hyperseg_ros.node.health import Snapshot
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.health import cause_of_silence
from hyperseg_ros.node.health import values
from hyperseg_ros.node.mask_output import MaskOutput


class StreamStatus:
    """Says what became of a camera's frames."""

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        health: StreamHealth,
        source: CameraInput,
        output: MaskOutput,
    ) -> None:
        """Take what is reported on."""
        self._node, self._name, self._health = node, name, health
        self._source, self._output = source, output

    def message(self, engine: str, failure: str, *, is_building: bool) -> DiagnosticStatus:
        """Return the camera's diagnostics at this moment.

        Args:
            engine: The engine in use, for people.
            failure: What ended the worker; '' while it runs.
            is_building: Whether an engine is being built.
        """
        snapshot = self._health.snapshot()
        status = failed_status(self._node, self._name, failure)
        status.hardware_id = self._source.topic
        if not failure:
            is_losing = bool(snapshot.recent_lost)
            status.level = DiagnosticStatus.WARN if is_losing else DiagnosticStatus.OK
            status.message = f'{snapshot.rate_out_hz:.1f} masks/s'
            if is_losing:
                status.message += f'; {snapshot.recent_lost} frame(s) got lost on the way'
        if snapshot.is_silent or failure:
            status.level = DiagnosticStatus.ERROR if failure else DiagnosticStatus.WARN
            status.message = self._cause(snapshot, failure, is_building=is_building)
            self._node.get_logger().warning(
                f'No mask for {self._source.topic}: {status.message.rstrip(".")}.',
                throttle_duration_sec=5.0,
            )
        if snapshot.recent_lost:
            self._node.get_logger().warning(
                f'{self._source.topic}: {snapshot.lost} frame(s) got lost on the way so far; '
                f'{REMEDY_OF_LOSS}.',
                throttle_duration_sec=30.0,
            )
        found = values(snapshot, engine)
        if refused := self._refused():
            found.append(('subscribers that get nothing', refused))
        status.values = [KeyValue(key=key, value=value) for key, value in found]
        return status

    def _refused(self) -> str:
        """Say, also in the log, who listens to an output in a way that gets nothing."""
        refused = [
            subscriber
            for publisher in self._output.publishers
            for subscriber in refused_subscribers(self._node, publisher.topic_name)
        ]
        if refused:
            self._node.get_logger().warning(
                f'These subscribers get nothing: {", ".join(refused)}.',
                throttle_duration_sec=30.0,
            )
        return ', '.join(refused)

    def _cause(self, snapshot: Snapshot, failure: str, *, is_building: bool) -> str:
        source = self._source
        return cause_of_silence(
            snapshot,
            topic=source.topic,
            num_publishers=self._node.count_publishers(source.topic),
            similar=similar_topics(self._node, source.topic),
            wrong_type=wrong_type(self._node, source.topic, source.transport),
            qos_problem=source.qos_problem,
            is_building=is_building,
            failure=failure,
        )


def failed_status(node: LifecycleNode, name: str, failure: str) -> DiagnosticStatus:
    """Return the status of something that does not work, under the node's full name."""
    return DiagnosticStatus(
        name=f'{node.get_fully_qualified_name()}: {name}',
        level=DiagnosticStatus.ERROR,
        message=failure,
    )
