# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's listener hears, paired by stamp, scored, and kept: a bag, a video, a sheet."""

from pathlib import Path
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from geometry_msgs.msg import PolygonStamped
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image
from sensor_msgs.msg import LaserScan

from hyperseg_core.drive import DriveScene
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.frames.video import VideoWriter
from hyperseg_core.labels import LabelSet
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import overlay
from hyperseg_core.render import write_png
from hyperseg_ros.bags.types import LABEL_INFO
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.demo.birds_eye import birds_eye
from hyperseg_ros.demo.birds_eye import with_inset
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.mask import read_ids
from hyperseg_ros.messages.raw_image import image_to_rgb

_KEPT = 60
_SHEET = 9
_VIDEO_HZ = 15.0
_PATIENCE = 8
"""Pictures that may wait for the ground under their masks."""
_MARK = 'made_by_hyperseg_demo'
Stamp = tuple[int, int]


def is_demo_bag(folder: Path) -> bool:
    """Tell whether a folder of masks was written by a demo, and may be removed by the next."""
    return (folder / _MARK).is_file()


class Collector(Node):
    """Pairs masks with the frames, and the truth, that have their stamp."""

    def __init__(
        self,
        image_topic: str,
        labels: LabelSet,
        output: Path,
        street: DriveScene | None,
        *,
        use_sim_time: bool,
    ) -> None:
        """Listen to the camera and to the nodes; with a street, also to `ground`."""
        simulated = Parameter('use_sim_time', Parameter.Type.BOOL, use_sim_time)
        super().__init__('demo', parameter_overrides=[simulated])
        self._labels = labels
        self._output = output
        sensor = QoSProfile(depth=_KEPT, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, image_topic, self._on_image, sensor)
        truth_topic = f'{image_topic.rpartition("/")[0]}/labels'
        self.create_subscription(Image, truth_topic, self._on_truth, sensor)
        self.create_subscription(Image, '/segmenter/mask', self._on_mask, 10)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._street = street
        if street is not None:
            self._listen_to_ground(f'{image_topic.rpartition("/")[0]}/moment', sensor)
        self._moments_s: dict[Stamp, float] = {}
        self._scans: dict[Stamp, LaserScan] = {}
        self._outlines: dict[Stamp, PolygonStamped] = {}
        self._waiting: dict[Stamp, NDArray[np.uint8]] = {}
        self._images: dict[Stamp, NDArray[np.uint8]] = {}
        self._truth: dict[Stamp, NDArray[np.uint8]] = {}
        self._confusion = np.zeros((len(labels), len(labels) + 1), np.int64)
        self.ages_ms: list[float] = []
        self.start_s = 0.0
        self.num_masks = 0
        self.status: dict[str, str] = {}
        self.message = 'waiting for the node'
        self._num_shown = 0
        self._tiles: list[NDArray[np.uint8]] = []
        self._captions: list[str] = []
        self._video = VideoWriter(output / 'overlay.mp4', _VIDEO_HZ)
        self._bag: BagWriter | None = None

    def _listen_to_ground(self, moment_topic: str, sensor: QoSProfile) -> None:
        self.create_subscription(PointStamped, moment_topic, self._on_moment, sensor)
        self.create_subscription(PolygonStamped, '/ground/free_space', self._on_outline, 10)
        self.create_subscription(LaserScan, '/ground/scan', self._on_scan, 10)

    def _on_moment(self, message: PointStamped) -> None:
        _keep(self._moments_s, message, message.point.x)

    def _on_scan(self, message: LaserScan) -> None:
        _keep(self._scans, message, message)
        self._show_ground(_stamp(message))

    def _on_outline(self, message: PolygonStamped) -> None:
        _keep(self._outlines, message, message)
        self._show_ground(_stamp(message))

    def _show_ground(self, stamp: Stamp) -> None:
        """Show the picture of a stamp with the ground from above, once all of that is there."""
        if self._street is None or stamp not in self._waiting:
            return
        parts = (self._moments_s.get(stamp), self._scans.get(stamp), self._outlines.get(stamp))
        time_s, scan, outline = parts
        if time_s is not None and scan is not None and outline is not None:
            inset = birds_eye(self._street.plan(time_s), scan, outline)
            self._show(with_inset(self._waiting.pop(stamp), inset))

    def _on_image(self, message: Image) -> None:
        _keep(self._images, message, image_to_rgb(message))

    def _on_truth(self, message: Image) -> None:
        _keep(self._truth, message, read_ids(message).astype(np.uint8))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            # Neither the planners' nodes nor the engine, whose own status has no rates.
            is_camera = status.name.startswith('/segmenter:')
            if not is_camera or status.name.endswith(': engine'):
                continue
            self.status = {item.key: item.value for item in status.values}
            self.message = status.message

    def _on_mask(self, message: Image) -> None:
        age_s = self.get_clock().now().nanoseconds / 1e9 - _seconds(message)
        if age_s > 0:  # not before the first tick of a bag's clock
            self.ages_ms.append(1000 * age_s)
        self.start_s = self.start_s or time.monotonic()
        self.num_masks += 1
        mask = read_ids(message).astype(np.uint8)
        self._record(message, mask)
        stamp = _stamp(message)
        if stamp in self._truth and self._truth[stamp].shape == mask.shape:
            self._confusion += confusion_matrix(self._truth[stamp], mask, len(self._labels))
        if stamp in self._images:
            picture = overlay(np.ascontiguousarray(self._images[stamp]), mask, self._labels)
            if self._street is None:
                self._show(picture)
                return
            self._waiting[stamp] = picture
            self._show_ground(stamp)
            self._show_waiting(_PATIENCE)

    def _show_waiting(self, num_left: int = 0) -> None:
        """Show the oldest pictures for whose ground we wait no longer, without it."""
        while len(self._waiting) > num_left:
            self._show(self._waiting.pop(next(iter(self._waiting))))

    def _record(self, message: Image, mask: NDArray[np.uint8]) -> None:
        if self._bag is None:
            self._bag = BagWriter(self._output / 'masks')
            write_atomically(self._output / 'masks' / _MARK, b'Written anew by each demo.\n')
        header = self._bag.header(message.header)
        time_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        if self.num_masks == 1:
            info = self._bag.label_info(header, self._labels.names, 0.0)
            self._bag.write('/segmenter/label_info', LABEL_INFO, time_ns, info, latched=True)
        image = self._bag.image(header, mask, 'mono8')
        self._bag.write('/segmenter/mask', IMAGE, time_ns, image)

    def _show(self, picture: NDArray[np.uint8]) -> None:
        self._video.write(picture)
        self._num_shown += 1
        if self._num_shown % 12 == 1 and len(self._tiles) < _SHEET:
            self._tiles.append(picture)
            self._captions.append(
                f'picture {self._num_shown}, {(self.ages_ms or [0])[-1]:.0f} ms old'
            )

    @property
    def has_met_node(self) -> bool:
        """Whether anything has come from the node."""
        return bool(self.status or self.num_masks)

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU against the truth so far; None where there is no truth."""
        if not self._confusion.any():
            return None
        present = self._confusion.sum(1) > 0
        iou = np.array(Scores.from_confusion(self._confusion).per_class_iou)
        return float(iou[present].mean())

    def finish(self) -> None:
        """Close the video and the bag, and write the contact sheet."""
        self._show_waiting()
        self._video.close()
        if self._bag is not None:
            self._bag.close()
        if self._tiles:
            write_png(
                self._output / 'contact_sheet.png', contact_sheet(self._tiles, self._captions)
            )


def _seconds(message: Any) -> float:
    return float(message.header.stamp.sec + message.header.stamp.nanosec / 1e9)


def _stamp(message: Any) -> Stamp:
    return message.header.stamp.sec, message.header.stamp.nanosec


def _keep(store: dict[Stamp, Any], message: Any, value: Any) -> None:
    """Keep what came under a message's stamp, and forget the oldest."""
    store[_stamp(message)] = value
    while len(store) > _KEPT:
        del store[next(iter(store))]
