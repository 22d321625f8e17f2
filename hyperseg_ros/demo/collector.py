# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's listener hears, paired by stamp, scored, and kept: a bag, a video, a sheet."""

from pathlib import Path
import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image

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
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.mask import read_ids
from hyperseg_ros.messages.raw_image import image_to_rgb

_KEPT = 60
_SHEET = 9
_VIDEO_HZ = 15.0
_MARK = 'made_by_hyperseg_demo'
Stamp = tuple[int, int]


def is_demo_bag(folder: Path) -> bool:
    """Tell whether a folder of masks was written by a demo, and may be removed by the next."""
    return (folder / _MARK).is_file()


class Collector(Node):
    """Pairs masks with the frames, and the truth, that have their stamp."""

    def __init__(
        self, image_topic: str, labels: LabelSet, output: Path, *, use_sim_time: bool
    ) -> None:
        """Listen to the camera and to the node."""
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
        self._images: dict[Stamp, NDArray[np.uint8]] = {}
        self._truth: dict[Stamp, NDArray[np.uint8]] = {}
        self._confusion = np.zeros((len(labels), len(labels) + 1), np.int64)
        self.ages_ms: list[float] = []
        self.start_s = 0.0
        self.num_masks = 0
        self.status: dict[str, str] = {}
        self.message = 'waiting for the node'
        self._tiles: list[NDArray[np.uint8]] = []
        self._captions: list[str] = []
        self._video = VideoWriter(output / 'overlay.mp4', _VIDEO_HZ)
        self._bag: BagWriter | None = None

    def _on_image(self, message: Image) -> None:
        _remember(self._images, message, image_to_rgb(message))

    def _on_truth(self, message: Image) -> None:
        _remember(self._truth, message, read_ids(message).astype(np.uint8))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
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
            self._show(overlay(np.ascontiguousarray(self._images[stamp]), mask, self._labels))

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
        if self.num_masks % 12 == 1 and len(self._tiles) < _SHEET:
            self._tiles.append(picture)
            self._captions.append(f'mask {self.num_masks}, {(self.ages_ms or [0])[-1]:.0f} ms old')

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
        self._video.close()
        if self._bag is not None:
            self._bag.close()
        if self._tiles:
            write_png(
                self._output / 'contact_sheet.png', contact_sheet(self._tiles, self._captions)
            )


def _seconds(message: Image) -> float:
    return float(message.header.stamp.sec + message.header.stamp.nanosec / 1e9)


def _stamp(message: Image) -> Stamp:
    return message.header.stamp.sec, message.header.stamp.nanosec


def _remember(
    store: dict[Stamp, NDArray[np.uint8]], message: Image, pixels: NDArray[np.uint8]
) -> None:
    store[_stamp(message)] = pixels
    while len(store) > _KEPT:
        del store[next(iter(store))]
