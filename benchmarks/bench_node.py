# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS, between processes: overhead, throughput, overload, cameras, cycles.

    python benchmarks/bench_node.py overhead throughput overload cameras cycles --json node.json

Cameras, the node and the listener are processes of their own. `overhead` and `overload` replace
the engine by one that answers after a fixed time, to see what the node itself costs; the others
run `default`.
"""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.qos import qos_profile_sensor_data

_RELIABLE = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_HD = (720, 1280)
_VGA = (480, 640)
_ROUND_S, _ALONE_S = 25.0, 5.0
_UNMET_S, _UNMET, _ATTEMPTS = 15.0, 3, 4
"""With `LARGE_DATA`, a participant now and then is never discovered; its camera ends with this
status and another one is started."""


def run_fixed_node(delay_s: float, arguments: list[str]) -> None:
    """Be the node, with an engine that sleeps and answers."""
    from hyperseg_core.inference.segmenter import Segmentation
    from hyperseg_ros.node_process import run_node
    from hyperseg_ros.segmenter_node import SegmenterNode

    class FixedTime:
        spec = f'fixed {1000 * delay_s:.0f} ms'
        confidence_threshold = 0.0
        runs_batches = False

        def __init__(self, checkpoint: Any) -> None:
            self.checkpoint, self.labels = checkpoint, checkpoint.labels
            self._planes: dict[tuple[int, ...], Any] = {}

        def is_ready(self, image: Any) -> bool:
            return True

        def close(self) -> None:
            pass

        def __call__(self, images: Any) -> list[Segmentation]:
            time.sleep(delay_s * len(images))
            found = []
            for image in images:
                shape = image.shape[:2]
                plane = self._planes.setdefault(shape, np.zeros(shape, np.uint8))
                found.append(Segmentation(plane, plane))
            return found

    class FixedNode(SegmenterNode):
        def _build(self) -> Any:
            return FixedTime(self._checkpoint)

    run_node(FixedNode, arguments, release=lambda node: node._release())


def run_echo() -> None:
    """Be the bare round trip: every image is answered by a mask of its size."""
    from sensor_msgs.msg import Image

    from hyperseg_ros.conversions import fill_image
    from hyperseg_ros.node_process import run_node

    class Echo(Node):
        def __init__(self) -> None:
            super().__init__('echo')
            self._out = self.create_publisher(Image, '/segmenter/mask', _RELIABLE)
            self._mask = np.zeros(_HD, np.uint8)
            self.create_subscription(Image, '/image', self._answer, _NEWEST)

        def _answer(self, message: Image) -> None:
            self._out.publish(fill_image(Image(header=message.header), self._mask, 'mono8'))

    run_node(Echo, [])


def run_cameras(names: list[str], rate_hz: float, size: tuple[int, int], seconds: float) -> None:
    """Be one or several cameras, out of phase, for some seconds."""
    from sensor_msgs.msg import Image

    from hyperseg_core.data.drive.scene import DriveScene
    from hyperseg_ros.conversions import fill_image
    from hyperseg_ros.node_process import leave_graph

    rclpy.init(args=[])
    node = Node('cameras')
    scene = DriveScene(5, height=size[0], width=size[1])
    frames = [scene.frame(moment / 2).image for moment in range(8)]
    publishers = [
        node.create_publisher(
            Image, f'/{name}/image' if name else '/image', qos_profile_sensor_data
        )
        for name in names
    ]
    messages = [fill_image(Image(), frame, 'rgb8') for frame in frames]
    end_s = time.monotonic() + _UNMET_S
    while not all(publisher.get_subscription_count() for publisher in publishers):
        if time.monotonic() > end_s:
            leave_graph(node, status=_UNMET)
            raise SystemExit(_UNMET)
        time.sleep(0.05)
    time.sleep(1)  # the way back, of those who subscribed, is known a moment later
    start_s = time.monotonic()
    step_s = 1 / rate_hz / len(publishers)
    for index in range(round(seconds / step_s)):
        time.sleep(max(0.0, start_s + index * step_s - time.monotonic()))
        message = messages[index % len(messages)]
        message.header.stamp = node.get_clock().now().to_msg()
        publishers[index % len(publishers)].publish(message)
    time.sleep(0.5)
    leave_graph(node)


class Listener:
    """Collects masks with their ages, and the node's diagnostics."""

    def __init__(self, topics: list[str]) -> None:
        """Subscribe in a context that is this listener's own."""
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import Image

        self.context = rclpy.Context()
        self.context.init()
        self.node = rclpy.create_node('listener', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.masks: dict[str, list[tuple[float, float]]] = {topic: [] for topic in topics}
        self.values: dict[str, str] = {}
        for topic in topics:
            self.node.create_subscription(Image, topic, self._taker(topic), _RELIABLE)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _taker(self, topic: str) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            stamp_s = message.header.stamp.sec + message.header.stamp.nanosec / 1e9
            age_s = self.node.get_clock().now().nanoseconds / 1e9 - stamp_s
            self.masks[topic].append((time.monotonic(), age_s))

        return take

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            self.values = {item.key: item.value for item in status.values}

    def spin_while(self, condition: Callable[[], bool]) -> None:
        """Handle what comes until the condition no longer holds."""
        while condition():
            self.executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Leave the graph."""
        self.node.destroy_node()
        self.context.try_shutdown()


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run this file in another role."""
    child = subprocess.Popen([sys.executable, __file__, '--role', *arguments])
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            child.wait(15)


def film(listener: Listener, *arguments: str) -> None:
    """Run cameras to their end, while the listener listens.

    Raises:
        SystemExit: If the node subscribes to none of several attempts, within a minute.
    """
    for _ in range(_ATTEMPTS):
        with process('cameras', *arguments) as camera:
            listener.spin_while(lambda: camera.poll() is None)
        if camera.returncode != _UNMET:
            return
    raise SystemExit(f'The node did not subscribe to {_ATTEMPTS} cameras, {_UNMET_S} s each.')


@contextlib.contextmanager
def real_node(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the node as users do."""
    command = [sys.executable, '-m', 'hyperseg_ros.segmenter_node', '--ros-args', *arguments]
    child = subprocess.Popen(command)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(15)


def wait_for_publisher(listener: Listener, topic: str) -> None:
    """Wait until the node, its engine included, is there."""
    end_s = time.monotonic() + 120
    listener.spin_while(
        lambda: not listener.node.count_publishers(topic) and time.monotonic() < end_s
    )
    if not listener.node.count_publishers(topic):
        raise SystemExit(f'Nothing publishes on {topic} within two minutes.')


def wait_for_engine(listener: Listener) -> None:
    """Wait until the node's diagnostics name an engine."""
    end_s = time.monotonic() + 240
    listener.spin_while(
        lambda: (
            listener.values.get('engine', 'none yet') == 'none yet' and time.monotonic() < end_s
        )
    )


def overhead(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the node around an instant engine with a bare echo, at 720p and 30 Hz."""
    result: dict[str, Any] = {'frames': options.frames}
    for name in ('bare', 'node'):
        listener = Listener(['/segmenter/mask'])
        role = ('echo',) if name == 'bare' else ('node', '0.0')
        with process(*role):
            wait_for_publisher(listener, '/segmenter/mask')
            seconds = str(options.frames / 30)
            film(listener, '', '30', '720', '1280', seconds)
        listener.close()
        times = [1000 * age_s for _, age_s in listener.masks['/segmenter/mask']]
        result[name] = {
            'lost': options.frames - len(times),
            'p50_ms': float(np.percentile(times, 50)),
            'p95_ms': float(np.percentile(times, 95)),
        }
    result['ratio'] = result['node']['p50_ms'] / result['bare']['p50_ms']
    return result


def throughput(options: argparse.Namespace) -> dict[str, Any]:
    """Feed `default` at 640 x 480 faster than it is; sustained, with memory and age.

    Before and after each round, `Segmenter` runs the same frames in a loop while the node gets
    none, as a machine's own speed wanders over minutes.
    """
    from hyperseg_core import Segmenter
    from hyperseg_core.data.drive.scene import DriveScene

    scene = DriveScene(5, height=_VGA[0], width=_VGA[1])
    frames = [scene.frame(moment / 2).image for moment in range(8)]
    segmenter = Segmenter('default', frame_size=_VGA)

    def rate_alone() -> float:
        start_s, count = time.monotonic(), 0
        while time.monotonic() - start_s < _ALONE_S:
            segmenter(frames[count % len(frames)])
            count += 1
        return count / (time.monotonic() - start_s)

    listener = Listener(['/segmenter/mask'])
    taken = listener.masks['/segmenter/mask']
    rounds: list[dict[str, float]] = []
    with real_node() as node:
        wait_for_publisher(listener, '/segmenter/mask')
        wait_for_engine(listener)
        rate_alone()
        before = rate_alone()
        for _ in range(max(1, round(options.seconds / _ROUND_S))):
            taken.clear()
            rate_hz, seconds = str(1.15 * before), str(_ROUND_S)
            film(listener, '', rate_hz, '480', '640', seconds)
            after = rate_alone()
            settled = [item for item in taken if item[0] > taken[0][0] + 2]
            rate = (len(settled) - 1) / (settled[-1][0] - settled[0][0])
            rounds.append(
                {
                    'segmenter_fps': (before + after) / 2,
                    'node_fps': rate,
                    'ratio': rate / ((before + after) / 2),
                    'age_p50_ms': 1000 * float(np.median([age for _, age in settled])),
                    'resident_mib': _resident_mib(node.pid),
                }
            )
            before = after
    listener.close()
    segmenter.close()
    medians = {key: float(np.median([item[key] for item in rounds])) for key in rounds[0]}
    return {'median': medians, 'rounds': rounds, 'counts': listener.values}


def overload(options: argparse.Namespace) -> dict[str, Any]:
    """Send 60 frames/s to an engine of 20 frames/s."""
    listener = Listener(['/segmenter/mask'])
    with process('node', '0.05'):
        wait_for_publisher(listener, '/segmenter/mask')
        film(listener, '', '60', '480', '640', str(options.overload_seconds))
        end_s = time.monotonic() + 2.5
        listener.spin_while(lambda: time.monotonic() < end_s)
    ages = [1000 * age for _, age in listener.masks['/segmenter/mask']][10:]
    values = listener.values
    listener.close()
    accounted = int(values['published']) + int(values['dropped'])
    return {
        'inference_ms': 50.0,
        'age_ms_p50_p95_max': [float(v) for v in np.percentile(ages, (50, 95, 100))],
        'received': int(values['received']),
        'published_and_dropped': accounted,
        'counts': values,
    }


def cameras(options: argparse.Namespace) -> dict[str, Any]:
    """Six cameras at 10 Hz on one engine."""
    names = [f'camera{index}' for index in range(6)]
    topics = [f'/segmenter/{name}/mask' for name in names]
    listener = Listener(topics)
    with real_node('-p', f'cameras:=[{", ".join(names)}]'):
        wait_for_publisher(listener, topics[0])
        wait_for_engine(listener)
        seconds = str(options.camera_seconds)
        film(listener, ','.join(names), '10', '480', '640', seconds)
    counts = {topic: len(taken) for topic, taken in listener.masks.items()}
    ages = [1000 * age for taken in listener.masks.values() for _, age in taken[3:]]
    listener.close()
    return {
        'masks': counts,
        'slowest_of_fastest': min(counts.values()) / max(counts.values()),
        'fps': sum(counts.values()) / options.camera_seconds,
        'age_ms_p50_p95': [float(value) for value in np.percentile(ages, (50, 95))],
    }


def cycles(options: argparse.Namespace) -> dict[str, Any]:
    """Configure, activate, segment, deactivate and clean up, again and again."""
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState
    from sensor_msgs.msg import Image

    from hyperseg_ros.conversions import fill_image

    listener = Listener(['/segmenter/mask'])
    taken = listener.masks['/segmenter/mask']
    out = listener.node.create_publisher(Image, '/image', qos_profile_sensor_data)
    message = fill_image(Image(), np.zeros((*_VGA, 3), np.uint8), 'rgb8')
    client = listener.node.create_client(ChangeState, '/segmenter/change_state')

    def change(transition: int) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        future = client.call_async(request)
        listener.spin_while(lambda: not future.done())
        if not future.result().success:
            raise SystemExit(f'Transition {transition} failed.')

    def publish_until_answered() -> None:
        target = len(taken) + 1
        while len(taken) < target:
            message.header.stamp = listener.node.get_clock().now().to_msg()
            out.publish(message)
            end_s = time.monotonic() + 0.1
            listener.spin_while(
                lambda end_s=end_s: len(taken) < target and time.monotonic() < end_s
            )

    sizes = []
    with real_node('-p', 'autostart:=false') as node:
        listener.spin_while(lambda: not client.service_is_ready())
        time.sleep(1)
        for _ in range(options.cycles):
            change(Transition.TRANSITION_CONFIGURE)
            change(Transition.TRANSITION_ACTIVATE)
            publish_until_answered()
            change(Transition.TRANSITION_DEACTIVATE)
            change(Transition.TRANSITION_CLEANUP)
            sizes.append(_resident_mib(node.pid))
        threads = len(list(Path(f'/proc/{node.pid}/task').iterdir()))
        files = len(list(Path(f'/proc/{node.pid}/fd').iterdir()))
    listener.close()
    return {
        'cycles': options.cycles,
        'resident_mib_after_1_10_half_all': [
            sizes[0], sizes[min(9, len(sizes) - 1)], sizes[len(sizes) // 2], sizes[-1],
        ],
        'threads': threads,
        'open_files': files,
    }  # fmt: skip


def _resident_mib(pid: int) -> float:
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


_BENCHMARKS = {
    'overhead': overhead, 'throughput': throughput, 'overload': overload, 'cameras': cameras,
    'cycles': cycles,
}  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    os.environ.setdefault('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
    if '--role' in sys.argv:
        role, *rest = sys.argv[sys.argv.index('--role') + 1 :]
        if role == 'echo':
            run_echo()
        elif role == 'node':
            run_fixed_node(float(rest[0]), [])
        else:
            names, rate, height, width, seconds = rest
            run_cameras(names.split(','), float(rate), (int(height), int(width)), float(seconds))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', nargs='+', choices=sorted(_BENCHMARKS))
    parser.add_argument('--frames', type=int, default=900, help='Of `overhead`.')
    parser.add_argument('--seconds', type=float, default=600.0, help='Of `throughput`.')
    parser.add_argument('--overload-seconds', type=float, default=20.0)
    parser.add_argument('--camera-seconds', type=float, default=30.0)
    parser.add_argument('--cycles', type=int, default=100)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    report = {}
    for name in options.what:
        report[name] = _BENCHMARKS[name](options)
        print(f'{name}: {json.dumps(report[name], indent=2)}', flush=True)
    if options.json is not None:
        from hyperseg_core.commands.hardware import describe_machine

        options.json.write_text(json.dumps({'machine': describe_machine(), **report}, indent=2))


if __name__ == '__main__':
    main()
