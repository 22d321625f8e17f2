# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a camera, the node and a listener, each a process, over real DDS."""

import argparse
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import cv2
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.live import Live
from rich.table import Table
from sensor_msgs.msg import Image

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import HyperSegError
from hyperseg_core.evaluation import Scores
from hyperseg_core.evaluation import confusion_matrix
from hyperseg_core.labels import LabelSet
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import overlay
from hyperseg_core.render import write_png
from hyperseg_ros.bags.types import LABEL_INFO
from hyperseg_ros.bags.writer import BagWriter
from hyperseg_ros.conversions import image_to_rgb
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.node_process import leave_graph
from hyperseg_ros.node_process import stop_on_signals

_KEPT = 60
_SHEET = 9
_SILENT_S = 60.0
_UNMET_S = 20.0
Stamp = tuple[int, int]


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
        self._ages_ms: list[float] = []
        self.start_s = 0.0
        self.num_masks = 0
        self.status: dict[str, str] = {}
        self.message = 'waiting for the node'
        self._tiles: list[NDArray[np.uint8]] = []
        self._captions: list[str] = []
        self._video: cv2.VideoWriter | None = None
        self._bag: BagWriter | None = None

    def _on_image(self, message: Image) -> None:
        _remember(self._images, message, image_to_rgb(message))

    def _on_truth(self, message: Image) -> None:
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        _remember(self._truth, message, pixels)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.status = {item.key: item.value for item in status.values}
            self.message = status.message

    def _on_mask(self, message: Image) -> None:
        age_s = self.get_clock().now().nanoseconds / 1e9 - _seconds(message)
        if age_s > 0:  # not before the first tick of a bag's clock
            self._ages_ms.append(1000 * age_s)
        self.start_s = self.start_s or time.monotonic()
        self.num_masks += 1
        mask = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width)
        self._record(message, mask)
        stamp = _stamp(message)
        if stamp in self._truth and self._truth[stamp].shape == mask.shape:
            self._confusion += confusion_matrix(self._truth[stamp], mask, len(self._labels))
        if stamp in self._images:
            self._show(overlay(np.ascontiguousarray(self._images[stamp]), mask, self._labels))

    def _record(self, message: Image, mask: NDArray[np.uint8]) -> None:
        if self._bag is None:
            self._bag = BagWriter(self._output / 'masks')
        header = self._bag.header(message.header)
        time_ns = header.stamp.sec * 10**9 + header.stamp.nanosec
        if self.num_masks == 1:
            info = self._bag.label_info(header, self._labels.names, 0.0)
            self._bag.write('/segmenter/label_info', LABEL_INFO, time_ns, info, latched=True)
        image = self._bag.image(header, mask, 'mono8')
        self._bag.write('/segmenter/mask', IMAGE, time_ns, image)

    def _show(self, picture: NDArray[np.uint8]) -> None:
        if self._video is None:
            size = (picture.shape[1], picture.shape[0])
            path = str(self._output / 'overlay.mp4')
            self._video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*'mp4v'), 15.0, size)
        self._video.write(np.ascontiguousarray(picture[..., ::-1]))
        if self.num_masks % 12 == 1 and len(self._tiles) < _SHEET:
            self._tiles.append(picture)
            self._captions.append(
                f'mask {self.num_masks}, {(self._ages_ms or [0])[-1]:.0f} ms old'
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

    def table(self) -> Table:
        """Return what is known at this moment."""
        elapsed_s = time.monotonic() - self.start_s if self.start_s else 0.0
        rate_hz = self.num_masks / elapsed_s if elapsed_s > 1 else 0.0
        recent = self._ages_ms[-100:] or [float('nan')]
        table = Table(
            'frames/s in', 'masks/s out', 'age p50', 'age p95', 'dropped', 'mIoU', 'engine'
        )
        score = self.mean_iou
        table.add_row(
            self.status.get('rate in [Hz]', '-'), f'{rate_hz:.1f}',
            f'{np.percentile(recent, 50):.0f} ms', f'{np.percentile(recent, 95):.0f} ms',
            self._drops(), '-' if score is None else f'{score:.3f}',
            self.status.get('engine', '-'),
        )  # fmt: skip
        if not self.num_masks:
            table.caption = self.message
        return table

    def _drops(self) -> str:
        causes = [
            f'{value} {key.removeprefix("dropped, ")}'
            for key, value in self.status.items()
            if key.startswith('dropped, ')
        ]
        return ', '.join(causes) or '0'

    def finish(self) -> None:
        """Close the video and the bag, and write the contact sheet."""
        if self._video is not None:
            self._video.release()
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


@contextlib.contextmanager
def process(module: str, *arguments: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our modules as a process of its own; its output goes to a log."""
    with log.open('wb') as file:
        command = [sys.executable, '-m', f'hyperseg_ros.{module}', *arguments]
        child = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def camera_arguments(options: argparse.Namespace) -> tuple[list[str], str]:
    """Return the module and arguments of the camera, if one is needed, and its topic."""
    topic = '/demo/image'
    remap = ['--ros-args', '-r', '__ns:=/demo']
    if options.topic:
        return [], options.topic
    if options.bag:
        chosen = options.bag_topic or _first_image_topic(Path(options.bag))
        remapping = ['--loop', '--clock', '--topics', chosen, '--remap', f'{chosen}:={topic}']
        return ['bags.play', options.bag, *remapping], topic
    for source in (options.video, options.images, options.camera):
        if source is not None:
            return [
                'capture_camera',
                *remap,
                '-p',
                f'source:="{source}"',
                '-p',
                'rate:=15.0',
            ], topic
    return ['drive_camera', *remap, '-p', 'rate:=15.0', '-p', 'frames:=120'], topic


def _first_image_topic(bag: Path) -> str:
    from hyperseg_ros.bags.reader import open_bag
    from hyperseg_ros.bags.topics import image_topics

    with open_bag(bag) as reader:
        return str(image_topics(reader, None).chosen[0].topic)


def main() -> int:
    """Run the demo; exit status 1 if no mask came."""
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__)
    for name in ('bag', 'bag-topic', 'video', 'images', 'camera', 'topic'):
        parser.add_argument(f'--{name}')
    parser.add_argument('--checkpoint', default='default')
    parser.add_argument('--engine', default='auto')
    parser.add_argument('--seconds', type=float, default=15.0)
    parser.add_argument('--output', type=Path, default=Path('demo'))
    options = parser.parse_args()
    # Fast DDS's default transport loses large messages between processes.
    os.environ.setdefault('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
    output = options.output
    output.mkdir(exist_ok=True)
    _clear(output)
    try:
        camera, topic = camera_arguments(options)
    except (HyperSegError, OSError) as error:
        Console().print(f'Cannot start: {error}')
        return 2
    node = ['--ros-args', '-r', f'image:={topic}', '-p', f'checkpoint:={options.checkpoint}']
    # A bag brings its own time; others are given a second, as starting takes the machine's breath.
    is_bag = str(bool(options.bag)).lower()
    node += [
        '-p',
        f'engine:={options.engine}',
        '-p',
        f'use_sim_time:={is_bag}',
        '-p',
        'max_age:=1.0',
    ]
    commands = {'node': ['segmenter_node', *node]} | ({'camera': camera} if camera else {})
    with contextlib.ExitStack() as stack:
        children = {
            name: stack.enter_context(process(*command, log=output / f'{name}.log'))
            for name, command in commands.items()
        }
        collector, status = _collect(options, topic, children, output)
    leave_graph(collector, status=status)
    return status


def _clear(output: Path) -> None:
    import shutil

    shutil.rmtree(output / 'masks', ignore_errors=True)
    for name in ('overlay.mp4', 'contact_sheet.png'):
        (output / name).unlink(missing_ok=True)


def _collect(
    options: argparse.Namespace,
    topic: str,
    children: dict[str, 'subprocess.Popen[bytes]'],
    output: Path,
) -> tuple[Collector, int]:
    console, stop = Console(), stop_on_signals()
    console.print('Starting: camera, node and listener. The first time, an engine is built.')
    labels = load_checkpoint(options.checkpoint).labels

    def listen() -> Collector:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        return Collector(topic, labels, output, use_sim_time=bool(options.bag))

    collector = listen()
    begin_s = met_s = time.monotonic()
    with Live(collector.table(), console=console, refresh_per_second=4) as live:
        while not stop.is_set() and not _is_over(collector, options.seconds, begin_s, children):
            rclpy.spin_once(collector, timeout_sec=0.1)
            live.update(collector.table())
            if not collector.has_met_node and time.monotonic() - met_s > _UNMET_S:
                # DDS participants that start together on a busy machine now and then never
                # discover each other; a new one is discovered.
                collector.destroy_node()
                rclpy.try_shutdown()
                collector, met_s = listen(), time.monotonic()
    if stop.is_set():
        console.print('Interrupted.')
    collector.finish()
    count = collector.num_masks
    status = 0 if count else 1
    if count:
        console.print(_NEXT.format(output=output, count=count))
    else:
        ended = [name for name, child in children.items() if child.poll() is not None]
        lines = [f'the {name} ended: {_last_line(output / f"{name}.log")}' for name in ended]
        reason = ('; '.join(lines) or collector.message).rstrip('.')
        console.print(f'No mask came: {reason}. The logs are in {output}/.')
    return collector, status


def _is_over(
    collector: Collector,
    seconds: float,
    begin_s: float,
    children: dict[str, 'subprocess.Popen[bytes]'],
) -> bool:
    if collector.start_s:
        return time.monotonic() - collector.start_s > seconds
    has_ended = any(child.poll() is not None for child in children.values())
    return has_ended or time.monotonic() - begin_s > _SILENT_S + seconds


def _last_line(log: Path) -> str:
    lines = log.read_text(errors='replace').split('\n')
    return next((line for line in reversed(lines) if line.strip()), 'without a word')


_NEXT = """
{count} masks. Look at {output}/overlay.mp4 and {output}/contact_sheet.png; the masks are a bag:
{output}/masks. On your robot:
  ros2 launch hyperseg_ros segmenter.launch.py image:=/camera/image_raw
Your own data: make demo BAG=..., VIDEO=..., IMAGES=..., CAMERA=0 or TOPIC=/camera/image_raw"""


if __name__ == '__main__':
    sys.exit(main())
