# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node `labelled_cloud`: points with the classes of masks. Wiring only."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField

from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_ros.graph.events import no_publisher_events
from hyperseg_ros.messages.point_cloud import as_bytes
from hyperseg_ros.messages.point_cloud import fill_cloud
from hyperseg_ros.messages.point_cloud import filtered_cloud
from hyperseg_ros.node.health import Snapshot
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.planner.cloud_input import CloudInput
from hyperseg_ros.planner.cloud_input import PointSet
from hyperseg_ros.planner.cloud_parameters import CloudParameters
from hyperseg_ros.planner.depth import filtered_depth
from hyperseg_ros.planner.drop_log import DropLog
from hyperseg_ros.planner.labelled_cloud import CameraPicture
from hyperseg_ros.planner.labelled_cloud import organised
from hyperseg_ros.planner.labelled_cloud import paint_from
from hyperseg_ros.planner.layouts import PointLayout
from hyperseg_ros.planner.layouts import class_table
from hyperseg_ros.planner.lens import LensError
from hyperseg_ros.planner.mask_input import MaskFrame
from hyperseg_ros.planner.mask_input import MaskInput
from hyperseg_ros.planner.mask_input import stamp_ns
from hyperseg_ros.planner.painting import Paint
from hyperseg_ros.planner.painting import check_ids
from hyperseg_ros.planner.pairing import MAX_CLOUDS
from hyperseg_ros.planner.pairing import MAX_MIB
from hyperseg_ros.planner.pairing import Paired
from hyperseg_ros.planner.pairing import StampPairer
from hyperseg_ros.planner.pairing import num_beyond
from hyperseg_ros.planner.planner_node import PlannerNode
from hyperseg_ros.planner.planner_node import why_no_mask
from hyperseg_ros.planner.planner_node import why_nothing_arrives
from hyperseg_ros.planner.pose import Matrix
from hyperseg_ros.planner.transforms import FrameIdError
from hyperseg_ros.planner.transforms import NoTransformError
from hyperseg_ros.planner.transforms import Transforms
from hyperseg_ros.planner.transforms import check_frame_id
from hyperseg_ros.process.running import run_node

_RETRY_S = 0.02
Pair = Paired[Any, MaskFrame]


class LabelledCloudNode(PlannerNode[CloudParameters]):
    """Listens to masks and points, publishes `~/points` and what is left without some classes."""

    def __init__(self, **options: Any) -> None:
        """Declare the parameters."""
        self._masks: list[MaskInput] = []
        self._cloud: CloudInput | None = None
        self._pairer: StampPairer[Any, MaskFrame] | None = None
        self._pending: list[tuple[Pair, float]] = []
        self._mask_healths: list[StreamHealth] = []
        self._mask_snapshots: list[Snapshot] = []
        self._poses: list[Matrix] = []
        self._layout: tuple[LabelSet, PointLayout] | None = None
        super().__init__('labelled_cloud', CloudParameters, **options)
        self._drops = DropLog(self, self.health)
        steady = rclpy.clock.Clock(clock_type=rclpy.clock.ClockType.STEADY_TIME)
        self.create_timer(_RETRY_S, self.guarded(self._work_off), clock=steady)

    def prepare(self) -> str:
        """Create inputs and publishers."""
        values = self.parameters.values
        values.check()
        if values.label_set:
            label_set = load_labels(values.label_set)
            label_set.ids(values.remove)
            class_table(label_set, values.class_map)
        self._poses = values.camera_from_points()
        if not self._poses:
            self.transforms = self._find_transforms()
        self._layout = None
        self._pairer = StampPairer(values.offsets_s(), values.pair_rules)
        self._cloud = CloudInput(
            self, self.health, self._on_cloud, is_depth=values.source == 'depth'
        )
        self._mask_healths = [StreamHealth() for _ in range(values.num_cameras)]
        self._mask_snapshots = [health.snapshot() for health in self._mask_healths]
        self._masks = [
            MaskInput(
                self, f'{name}/' if name else '', self._mask_healths[index],
                partial(self._on_mask, index), label_set=values.label_set,
                is_rectified=values.is_rectified, with_confidence=values.use_confidence,
                without_confidence='use_confidence: false',
            )
            for index, name in enumerate(values.cameras or ('',))
        ]  # fmt: skip
        self.outputs = [
            self._publisher(PointCloud2, '~/points'),
            self._publisher(PointCloud2, '~/points_filtered'),
        ]
        if values.source == 'depth':
            self.outputs.append(self._publisher(Image, '~/depth_filtered'))
        return f'Configured: {values.source} painted by {len(self._masks)} camera(s).'

    def _find_transforms(self) -> Transforms | None:
        """Listen to TF; a depth image that is aligned with its mask needs none."""
        try:
            return Transforms(self)
        except ConfigError:
            if self.parameters.values.source != 'depth':
                raise
            return None

    def _publisher(self, kind: Any, topic: str) -> Publisher:
        qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
        return self.create_publisher(kind, topic, qos, event_callbacks=no_publisher_events())

    @property
    def inputs(self) -> Sequence[Any]:
        """Masks and points."""
        return [*self._masks, *([self._cloud] if self._cloud is not None else [])]

    @property
    def input_topic(self) -> str:
        """That of the points."""
        if self._cloud is not None:
            return self._cloud.topic
        return str(self.resolve_topic_name(self.parameters.values.source))

    def expire(self) -> None:
        """Leave out masks whose confidence does not come."""
        for source in self._masks:
            source.expire()

    def forget(self) -> None:
        """Drop what waits for each other."""
        count = len(self._pending) + (self._pairer.clear() if self._pairer is not None else 0)
        self._pending = []
        for _ in range(count):
            self.health.frame_dropped('deactivated')

    def _on_mask(self, camera: int, frame: MaskFrame) -> None:
        check_ids(frame.mask, len(frame.label_set))
        assert self._pairer is not None
        self._pairer.add_mask(camera, frame, frame.stamp_ns)
        self._mask_healths[camera].frame_published()
        self._work_off()

    def _on_cloud(self, message: Any) -> None:
        assert self._pairer is not None
        stamp, size = stamp_ns(message.header), len(message.data)
        self._supersede(self._pairer.add_cloud(message, stamp, time.monotonic(), size))
        self._work_off()

    def _work_off(self) -> None:
        """Publish the clouds that have their masks and transforms."""
        if self._pairer is None or not (self._pairer.is_waiting or self._pending):
            return
        now_s = time.monotonic()
        until_s = now_s + self.parameters.values.wait_s
        self._pending += [(pair, until_s) for pair in self._pairer.ready(now_s)]
        waiting, self._pending = self._pending, []
        beyond = num_beyond(len(pair.cloud.data) for pair, _ in waiting)
        self._supersede(beyond)
        for pair, deadline_s in waiting[beyond:]:
            try:
                self._work(pair)
            except NoTransformError as error:
                if now_s < deadline_s:
                    self._pending.append((pair, deadline_s))
                else:
                    self._leave_out('no TF', error)

    def _supersede(self, count: int) -> None:
        """Count clouds that newer ones had to replace while they waited."""
        for _ in range(count):
            self._leave_out(
                'superseded',
                f'more than {MAX_CLOUDS} clouds, or {MAX_MIB} MiB of them, wait for their masks '
                f'and TF; set wait_s below {self.parameters.values.wait_s:g} s, or publish fewer',
            )

    def _leave_out(self, cause: str, error: object) -> None:
        self._drops.drop(self.input_topic, cause, error)

    def _work(self, pair: Pair) -> None:
        assert self._cloud is not None
        values = self.parameters.values
        if not self.is_young(pair.stamp_ns, values.max_age_s):
            return
        if not pair.masks:
            self._leave_out('no mask near its stamp', self._no_mask(pair))
            return
        start_s = time.monotonic()
        try:
            points = self._cloud.read(pair.cloud)
            pictures = self._pictures(points, pair)
            self._publish(pair, points, pictures)
        except NoTransformError:
            raise
        except Exception as error:  # whatever one cloud provokes, the others are worked on
            self._leave_out(_cause_of(error, values.source), error)
            return
        self.health.add_stages(paint=time.monotonic() - start_s)
        self.add_age(pair.stamp_ns)

    def _no_mask(self, pair: Pair) -> str:
        if pair.nearest_s is None:
            return 'no mask has come'
        values = self.parameters.values
        limit_s = 0.0 if values.pairing == 'exact' else values.max_time_difference_s
        return (
            f'the nearest mask is {pair.nearest_s:.3f} s away, allowed are {limit_s:g} s; look at '
            f'time_offset_s and max_time_difference_s'
        )

    def _pictures(self, points: PointSet, pair: Pair) -> dict[int, CameraPicture]:
        """Return the cameras' pictures with where they were taken, by camera."""
        return {
            camera: CameraPicture(
                mask=frame.mask, confidence=frame.confidence, lens=frame.lens,
                camera_from_points=self._camera_from_points(camera, frame, stamp, points, pair),
            )
            for camera, (frame, stamp) in pair.masks.items()
        }  # fmt: skip

    def _camera_from_points(
        self, camera: int, frame: MaskFrame, mask_ns: int, points: PointSet, pair: Pair
    ) -> Matrix | None:
        if points.is_aligned_with(frame):
            return None
        if self._poses:
            return self._poses[camera]
        own, other = points.header.frame_id, frame.header.frame_id
        is_one_time = points.lens is not None or mask_ns == pair.stamp_ns
        if own and own == other and is_one_time:
            return np.eye(4)
        check_frame_id(other, 'the mask')
        check_frame_id(own, 'the points')
        if self.transforms is None:
            msg = (
                f'the depth is of {own!r}, the mask of {other!r}: TF is needed between them, but '
                f'tf2_ros is not installed; or give camera_pose'
            )
            raise NoTransformError(msg)
        fixed = self.parameters.values.fixed_frame
        return self.transforms.matrix_between(other, mask_ns, own, pair.stamp_ns, fixed)

    def _publish(self, pair: Pair, points: PointSet, pictures: dict[int, CameraPicture]) -> None:
        values = self.parameters.values
        first = next(iter(pair.masks))
        label_set = pair.masks[first][0].label_set
        removed = np.zeros(256, np.bool_)
        removed[list(label_set.ids(values.remove))] = True
        layout = self._layout_for(label_set)
        found = paint_from(points.points, list(pictures.values()), values.paint_rules)
        if self.outputs[0].get_subscription_count():
            if values.layout == 'organised':
                places, shown = organised(points.points, pictures[first], values.paint_rules)
                shape = pictures[first].mask.shape
                self.outputs[0].publish(self._cloud_message(pair, layout, places, shown, shape))
            else:
                message = self._cloud_message(pair, layout, points.points, found)
                self.outputs[0].publish(message)
        is_left = ~removed[found.class_ids]
        if self.outputs[1].get_subscription_count():
            self.outputs[1].publish(self._filtered(pair, layout, points, found, is_left))
        if len(self.outputs) > 2 and self.outputs[2].get_subscription_count():
            self.outputs[2].publish(_filtered_image(pair.cloud, ~is_left))

    def _layout_for(self, label_set: LabelSet) -> PointLayout:
        if self._layout is None or self._layout[0] is not label_set:
            values = self.parameters.values
            layout = PointLayout(values.layout, label_set, values.class_map)
            self._layout = (label_set, layout)
        return self._layout[1]

    def _cloud_message(
        self,
        pair: Pair,
        layout: PointLayout,
        points: np.ndarray,
        found: Paint,
        shape: tuple[int, ...] = (),
    ) -> PointCloud2:
        filled = layout.fill(points, found.class_ids, found.confidence)
        return fill_cloud(
            PointCloud2(header=pair.cloud.header), filled.reshape(shape) if shape else filled,
            PointField, is_dense=layout.is_dense,
        )  # fmt: skip

    def _filtered(
        self, pair: Pair, layout: PointLayout, points: PointSet, found: Paint, is_left: np.ndarray
    ) -> PointCloud2:
        """Return the points that are left: a cloud's with all their fields, a depth's painted."""
        if points.lens is None:
            return filtered_cloud(pair.cloud, is_left, PointCloud2)
        kept = np.flatnonzero(is_left)
        left = Paint(class_ids=found.class_ids.take(kept), confidence=found.confidence.take(kept))
        return self._cloud_message(pair, layout, points.points.take(kept, axis=0), left)

    def streams(self, snapshot: Snapshot) -> list[tuple[str, Snapshot]]:
        """Return the points and each camera's masks."""
        self._mask_snapshots = [health.snapshot() for health in self._mask_healths]
        topics = [source.topic('mask') for source in self._masks]
        masks = zip(topics, self._mask_snapshots, strict=True)
        return [*super().streams(snapshot), *masks]

    def more_values(self) -> list[tuple[str, str]]:
        """Return what became of the masks, of all cameras together."""
        counts: Counter[str] = Counter()
        for snapshot in self._mask_snapshots:
            counts['masks received'] += snapshot.received
            counts['masks lost on the way'] += snapshot.lost
            counts['masks replaced unread'] += snapshot.unread
            for cause, count in snapshot.drops.items():
                counts[f'masks dropped, {cause}'] += count
        return [(key, str(n)) for key, n in counts.items() if n or key == 'masks received']

    def trouble(self) -> str:
        """Say which cameras' masks do not come."""
        for source, snapshot in zip(self._masks, self._mask_snapshots, strict=True):
            if snapshot.is_silent:
                why = why_no_mask(self, source, snapshot) or 'masks wait for their confidence'
                return f'no mask from {source.topic("mask")}: {why}'
        return ''

    def cause_of_silence(self, snapshot: Snapshot) -> str:
        """Say why nothing comes out."""
        if self._cloud is None:
            return 'the node is not configured'
        drops = snapshot.recent_drops
        far = 'no mask near its stamp'
        if drops and drops.most_common(1)[0][0] != far:
            return snapshot.commonest_drop('left out')
        for source, found in zip(self._masks, self._mask_snapshots, strict=True):
            if why := why_no_mask(self, source, found):
                return why
        topic = self._cloud.topic
        if self.count_publishers(topic) == 0:
            return f'nothing publishes on {topic}; remap it to the points, or see `source`'
        if why := why_nothing_arrives(self, topic, snapshot, 'points'):
            return why
        if drops:
            return f'stamps never pair: {snapshot.problems.get(far, "")}'
        return 'masks and points arrive and wait for each other'


def _cause_of(error: Exception, source: str) -> str:
    """Return why points are left out, as drops are counted."""
    if isinstance(error, LensError):
        return 'bad camera_info'
    return 'no frame_id' if isinstance(error, FrameIdError) else f'bad {source}'


def _filtered_image(message: Image, remove: np.ndarray) -> Image:
    """Return a depth image without the pixels (H * W,) to be removed."""
    data = filtered_depth(message, remove.reshape(message.height, message.width))
    return Image(
        header=message.header, height=message.height, width=message.width,
        encoding=message.encoding, is_bigendian=message.is_bigendian, step=data.shape[1],
        data=as_bytes(data),
    )  # fmt: skip


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    run_node(LabelledCloudNode, args, release=lambda node: node.release())


if __name__ == '__main__':
    main()
