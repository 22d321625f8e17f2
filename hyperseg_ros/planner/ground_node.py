# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `ground`: masks to scan, grid and free space on the ground. Wiring only."""

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any

import rclpy
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Header

from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import load_labels
from hyperseg_ros.graph.events import no_publisher_events
from hyperseg_ros.node.health import Snapshot
from hyperseg_ros.planner.ground import GroundView
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_parameters import GroundParameters
from hyperseg_ros.planner.ground_table import GroundLayout
from hyperseg_ros.planner.ground_table import GroundTable
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.mask_input import MaskFrame
from hyperseg_ros.planner.mask_input import MaskInput
from hyperseg_ros.planner.planner_node import PlannerNode
from hyperseg_ros.planner.planner_node import why_no_mask
from hyperseg_ros.planner.pose import BODY_FROM_OPTICAL
from hyperseg_ros.planner.pose import Matrix
from hyperseg_ros.planner.pose import has_moved
from hyperseg_ros.planner.pose import matrix_of_pose
from hyperseg_ros.planner.transforms import FrameIdError
from hyperseg_ros.planner.transforms import NoTransformError
from hyperseg_ros.planner.transforms import Transforms
from hyperseg_ros.planner.transforms import check_frame_id
from hyperseg_ros.process.running import run_node

_RETRY_S = 0.01
_MAX_PENDING = 20
_INSTALL = 'apt install ros-$ROS_DISTRO-nav-msgs ros-$ROS_DISTRO-geometry-msgs'


class GroundNode(PlannerNode[GroundParameters]):
    """Listens to `mask`, publishes `~/scan`, `~/grid` and `~/free_space`."""

    def __init__(self, **options: Any) -> None:
        """Declare the parameters."""
        self._source: MaskInput | None = None
        self._pending: list[MaskFrame] = []
        self._table: tuple[Any, Matrix, GroundTable] | None = None
        self._layout = GroundLayout()
        self._makers: tuple[Callable[..., Any], ...] = ()
        super().__init__('ground', GroundParameters, **options)
        steady = rclpy.clock.Clock(clock_type=rclpy.clock.ClockType.STEADY_TIME)
        self._retry_timer = self.create_timer(
            _RETRY_S, self.guarded(self._try_pending), clock=steady
        )
        self._retry_timer.cancel()

    def prepare(self) -> str:
        """Create input and publishers."""
        values = self.parameters.values
        self._layout = values.layout()
        if values.label_set:
            state_table(load_labels(values.label_set), values.drivable)
        if not values.camera_pose:
            remedy = 'set `base_frame` to a frame that TF has, or `camera_pose`'
            self.transforms = Transforms(self, remedy)
        self._source = MaskInput(
            self, '', self.health, self._on_frame, label_set=values.label_set,
            is_rectified=values.is_rectified, with_confidence=values.min_confidence > 0,
            without_confidence='min_confidence: 0.0',
        )  # fmt: skip
        reliable = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
        # Maps are transient local (REP 2003 leaves it to them): Nav2's static layer asks for it.
        latched = QoSProfile(
            depth=1,
            reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )
        profiles = {'~/scan': reliable, '~/grid': latched, '~/free_space': reliable}
        kinds, self._makers = _messages()
        self.outputs = [
            self._publisher(kind, topic, qos)
            for kind, (topic, qos) in zip(kinds, profiles.items(), strict=True)
        ]
        rows, cols = self._layout.grid_shape
        pose = 'camera_pose' if values.camera_pose else 'TF'
        return (
            f'Configured: {self._layout.num_rays} rays to {self._layout.range_max_m:g} m, '
            f'{rows} x {cols} cells, in {values.base_frame!r}; the camera is where {pose} says.'
        )

    def _publisher(self, kind: Any, topic: str, qos: QoSProfile) -> Publisher:
        return self.create_publisher(kind, topic, qos, event_callbacks=no_publisher_events())

    @property
    def inputs(self) -> Sequence[MaskInput]:
        """The masks."""
        return [self._source] if self._source is not None else []

    @property
    def input_topic(self) -> str:
        """The masks'."""
        return str(self.resolve_topic_name('mask'))

    def expire(self) -> None:
        """Leave out masks whose confidence does not come."""
        for source in self.inputs:
            source.expire()

    def forget(self) -> None:
        """Drop the masks that wait for their TF."""
        for _ in self._pending:
            self.health.frame_dropped('deactivated')
        self._pending = []

    def _on_frame(self, frame: MaskFrame) -> None:
        self._pending.append(frame)
        while len(self._pending) > _MAX_PENDING:
            self._pending.pop(0)
            self._leave_out(
                'superseded',
                f'more than {_MAX_PENDING} masks wait for TF; set a shorter tf_wait_s than '
                f'{self.parameters.values.tf_wait_s:g} s',
            )
        self._try_pending()

    def _try_pending(self) -> None:
        """Work on the newest mask whose TF is known, and leave the older ones out.

        The newest of all would not do: TF may always come later than the next mask.
        """
        self._retry_timer.cancel()
        waiting, self._pending = self._pending, []
        while waiting:
            frame = waiting.pop()
            try:
                pose = self._base_from_camera(frame)
            except NoTransformError as error:
                self._wait_on(frame, error)
                continue
            except FrameIdError as error:
                self._leave_out('no frame_id', error)
                continue
            except Exception as error:
                self._leave_out('bad TF', error)
                continue
            for _ in waiting:
                self.health.frame_dropped('superseded')
            waiting = []
            if self.is_young(frame.stamp_ns, self.parameters.values.max_age_s):
                self._work(frame, pose)
        if self._pending:
            self._retry_timer.reset()

    def _wait_on(self, frame: MaskFrame, error: NoTransformError) -> None:
        """Let a mask wait for its TF, unless it has waited long enough."""
        if time.monotonic() - frame.arrived_s < self.parameters.values.tf_wait_s:
            self._pending.insert(0, frame)
        else:
            self._leave_out('no TF', error)

    def _leave_out(self, cause: str, error: object) -> None:
        assert self._source is not None
        self._source.drop(cause, error)

    def _base_from_camera(self, frame: MaskFrame) -> Matrix:
        values = self.parameters.values
        if self.transforms is None:
            return matrix_of_pose(values.camera_pose) @ BODY_FROM_OPTICAL
        check_frame_id(frame.header.frame_id, 'the mask')
        return self.transforms.matrix(values.base_frame, frame.header.frame_id, frame.stamp_ns)

    def _work(self, frame: MaskFrame, pose: Matrix) -> None:
        start_s = time.monotonic()
        values = self.parameters.values
        cause = 'no ground'
        try:
            table = self._table_for(frame, pose)
            cause = 'drivable'
            states = state_table(frame.label_set, values.drivable)
            cause = 'bad mask'
            view = read_ground(
                table, frame.mask, states,
                confidence=frame.confidence, min_confidence=values.min_confidence,
                close_m=values.close_holes, gap_m=values.max_gap,
            )  # fmt: skip
            self.health.add_stages(
                wait=start_s - frame.arrived_s, ground=time.monotonic() - start_s
            )
            cause = 'not published'
            self._publish(frame, view)
        except Exception as error:  # whatever one mask provokes, the others are worked on
            self._leave_out(cause, error)

    def _table_for(self, frame: MaskFrame, pose: Matrix) -> GroundTable:
        """Return the table of the camera's pose, a new one where it has moved."""
        values = self.parameters.values
        if self._table is not None:
            lens, known, table = self._table
            is_still = not has_moved(known, pose, values.rebuild_m, values.rebuild_rad)
            if lens is frame.lens and is_still and table.layout is self._layout:
                return table
        start_s = time.monotonic()
        table = build_table(frame.lens, pose, self._layout)
        self.health.add_stages(table=time.monotonic() - start_s)
        self._table = (frame.lens, pose, table)
        if table.sight_m < self._layout.range_max_m - self._layout.resolution_m:
            self.get_logger().warning(
                f'Straight ahead pixels are fine enough for {table.sight_m:.1f} m, range_max is '
                f'{self._layout.range_max_m:g} m: no ray is ever free, and Nav2 clears nothing. '
                f'Use a smaller range_max, or a larger max_pixel_share.',
                throttle_duration_sec=60.0,
            )
        return table

    def _publish(self, frame: MaskFrame, view: GroundView) -> None:
        header = Header(stamp=frame.header.stamp, frame_id=self.parameters.values.base_frame)
        for publisher, message in zip(self.outputs, self._makers, strict=True):
            if publisher.get_subscription_count():
                publisher.publish(message(header, view, self._layout))
        self.add_age(frame.stamp_ns)

    def cause_of_silence(self, snapshot: Snapshot) -> str:
        """Say why nothing comes out."""
        if self._source is None:
            return 'the node is not configured'
        found = why_no_mask(self, self._source, snapshot)
        return found or 'masks arrive and wait for confidence or TF'


def _messages() -> tuple[tuple[Any, ...], tuple[Callable[..., Any], ...]]:
    """Return the types of scan, grid and free space, and what makes them.

    Raises:
        ConfigError: If their packages are not installed.
    """
    try:
        from hyperseg_ros.planner.ground_messages import MAKERS
        from hyperseg_ros.planner.ground_messages import TYPES
    except ImportError as err:
        msg = f'The outputs need nav_msgs and geometry_msgs ({err}): {_INSTALL}.'
        raise ConfigError(msg) from err
    return TYPES, MAKERS


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    run_node(GroundNode, args, release=lambda node: node.release())


if __name__ == '__main__':
    main()
