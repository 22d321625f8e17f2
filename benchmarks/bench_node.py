# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS, between processes: what it costs, and whether it lasts.

    python benchmarks/bench_node.py overhead throughput sustained overload cameras cycles

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
import select
import signal
import struct
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

from hyperseg_ros.process.transport import transport_environment

_RELIABLE = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_HD = (720, 1280)
_VGA = (480, 640)
_FEED = 1.05
"""How much faster than `Segmenter` the camera of `throughput` is."""
_TURN_S, _SETTLE_S, _STEADY = 3.5, 0.5, 0.04
"""A turn of `throughput`, what of it is not counted, and by what part the machine's speed may
change between two turns for the one between them to count."""
_UNMET_S, _ATTEMPTS = 15.0, 4
"""With `LARGE_DATA`, a participant now and then is never discovered; its camera gives up after
this time and another one is started."""


def run_fixed_node(delay_s: float, arguments: list[str]) -> None:
    """Be the node, with an engine that sleeps and answers."""
    from hyperseg_core.inference.segmenter import Segmentation
    from hyperseg_ros.node.segmenter_node import SegmenterNode
    from hyperseg_ros.process.running import run_node

    class FixedTime:
        spec = f'fixed {1000 * delay_s:.0f} ms'
        confidence_threshold = 0.0
        loss = ''

        def __init__(self, checkpoint: Any) -> None:
            self.checkpoint, self.label_set = checkpoint, checkpoint.label_set
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

    run_node(FixedNode, arguments, release=lambda node: node.release())


def run_echo(camera: str) -> None:
    """Be the bare round trip: every image is answered by a mask of its size."""
    from sensor_msgs.msg import Image

    from hyperseg_ros.messages.encoding import fill_image
    from hyperseg_ros.process.running import run_node

    class Echo(Node):
        def __init__(self) -> None:
            super().__init__('echo')
            self._out = self.create_publisher(Image, f'{camera}/mask', _RELIABLE)
            self.create_subscription(Image, f'{camera}/image', self._answer, _NEWEST)

        def _answer(self, message: Image) -> None:
            mask = np.zeros((message.height, message.width), np.uint8)
            self._out.publish(fill_image(Image(header=message.header), mask, 'mono8'))

    run_node(Echo, [])


def run_cameras(names: list[str], size: tuple[int, int]) -> None:
    """Be one or several cameras, out of phase, that film when they are told to.

    Each line of the input is a rate [Hz] and a time [s]; each is answered by a line.
    """
    from sensor_msgs.msg import Image

    from hyperseg_ros.messages.encoding import fill_image
    from hyperseg_ros.process.leaving import leave_graph

    rclpy.init(args=[])
    node = Node('cameras')
    publishers = [
        node.create_publisher(Image, f'{name}/image', qos_profile_sensor_data) for name in names
    ]
    messages = [fill_image(Image(), frame, 'rgb8') for frame in street(size)]
    end_s = time.monotonic() + _UNMET_S
    while not all(publisher.get_subscription_count() for publisher in publishers):
        if time.monotonic() > end_s:
            leave_graph(node)
            return
        time.sleep(0.05)
    time.sleep(1)  # the way back, of those who subscribed, is known a moment later
    print('met', flush=True)
    for line in sys.stdin:
        rate_hz, seconds = map(float, line.split())
        step_s = 1 / rate_hz / len(publishers)
        start_s = time.monotonic()
        for index in range(round(seconds / step_s)):
            time.sleep(max(0.0, start_s + index * step_s - time.monotonic()))
            message = messages[index % len(messages)]
            message.header.stamp = node.get_clock().now().to_msg()
            publishers[index % len(publishers)].publish(message)
        print('filmed', flush=True)
    leave_graph(node)


def run_segmenter() -> None:
    """Be `Segmenter` in a loop: each line of the input is a time [s], answered by frames/s."""
    from hyperseg_core import Segmenter

    frames = street(_VGA)
    segmenter = Segmenter('default', frame_size=_VGA)
    print('ready', flush=True)
    for line in sys.stdin:
        start_s, count = time.monotonic(), 0
        while time.monotonic() - start_s < float(line):
            segmenter(frames[count % len(frames)])
            count += 1
        print(count / (time.monotonic() - start_s), flush=True)


def street(size: tuple[int, int]) -> list[Any]:
    """Return some frames of a drive."""
    from hyperseg_core.drive.scene import DriveScene

    scene = DriveScene(5, height=size[0], width=size[1])
    return [scene.frame(moment / 2).image for moment in range(8)]


class Listener:
    """Collects masks with their ages, and the node's diagnostics."""

    def __init__(self, topics: list[str], *, raw: bool = False) -> None:
        """Subscribe in a context that is this listener's own.

        Args:
            topics: Where masks come.
            raw: Leave them serialised but for their stamps, to take as little of the machine as
                a listener can.
        """
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
            taker = self._taker(topic, raw=raw)
            self.node.create_subscription(Image, topic, taker, _RELIABLE, raw=raw)
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _taker(self, topic: str, *, raw: bool) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            # CDR: four bytes that say so, then the header's stamp.
            stamp = struct.unpack_from('<iI', message, 4) if raw else _stamp(message)
            age_s = self.node.get_clock().now().nanoseconds / 1e9 - stamp[0] - stamp[1] / 1e9
            self.masks[topic].append((time.monotonic(), age_s))

        return take

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            if not status.name.endswith(': engine'):  # which has no rates
                self.values = {item.key: item.value for item in status.values}

    def spin_while(self, condition: Callable[[], bool]) -> None:
        """Handle what comes until the condition no longer holds."""
        while condition():
            self.executor.spin_once(timeout_sec=0.05)

    def spin_for(self, seconds: float) -> None:
        """Handle what comes for some time."""
        end_s = time.monotonic() + seconds
        self.spin_while(lambda: time.monotonic() < end_s)

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


class Helper:
    """A role of this file in a process of its own, which takes its orders line by line."""

    def __init__(self, listener: Listener, *arguments: str) -> None:
        """Start it; the listener listens on while it works."""
        command = [sys.executable, __file__, '--role', *arguments]
        self._listener = listener
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self) -> str:
        """Return its next line; empty when it has ended."""
        assert self._child.stdout is not None
        out = self._child.stdout
        self._listener.spin_while(lambda: not select.select([out], [], [], 0)[0])
        return out.readline().strip()

    def tell(self, *words: float) -> None:
        """Tell it a line."""
        assert self._child.stdin is not None
        print(*words, file=self._child.stdin, flush=True)

    def ask(self, *words: float) -> str:
        """Tell it a line and return its answer."""
        self.tell(*words)
        answer = self.answer()
        if not answer:
            raise SystemExit('A process of this benchmark ended before its time.')
        return answer

    def close(self) -> None:
        """Let it end."""
        self._child.communicate(timeout=15)


@contextlib.contextmanager
def helper(listener: Listener, *arguments: str) -> Iterator[Helper]:
    """Run a helper that is ready.

    Raises:
        SystemExit: If none of several attempts gets ready.
    """
    for _ in range(_ATTEMPTS):
        child = Helper(listener, *arguments)
        if child.answer():
            break
        child.close()
    else:
        raise SystemExit(f'{" ".join(arguments)}: not ready in {_ATTEMPTS} attempts.')
    try:
        yield child
    finally:
        child.close()


@contextlib.contextmanager
def real_node(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the node as users do."""
    command = [sys.executable, '-m', 'hyperseg_ros.node.segmenter_node', '--ros-args', *arguments]
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
        role = ('echo', '/segmenter') if name == 'bare' else ('node', '0.0')
        camera = '/segmenter' if name == 'bare' else ''
        with process(*role):
            wait_for_publisher(listener, '/segmenter/mask')
            with helper(listener, 'cameras', camera, '720', '1280') as cameras:
                cameras.ask(30, options.frames / 30)
                listener.spin_for(0.5)
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
    """Feed `default` at 640 x 480 faster than it is, and compare with `Segmenter`.

    As a machine's own speed wanders within seconds, three things take short turns, with
    `Segmenter` in a loop and alone before and after each: the node, fed by a camera and heard by
    a listener, and `Segmenter` in a loop while the same messages go through a bare echo at the
    node's rate, which is what sharing these cores with cameras leaves of its speed.
    """
    topics = ['/segmenter/mask', '/bare/mask']
    listener = Listener(topics, raw=True)
    turns: dict[str, list[dict[str, float]]] = {'node': [], 'bare': []}
    with (
        helper(listener, 'segmenter') as segmenter,
        real_node(),
        process('echo', '/bare'),
    ):
        for topic in topics:
            wait_for_publisher(listener, topic)
        wait_for_engine(listener)
        with (
            helper(listener, 'cameras', '', '480', '640') as camera,
            helper(listener, 'cameras', '/bare', '480', '640') as bare_camera,
        ):

            def alone() -> float:
                return float(segmenter.ask(_TURN_S - 1))

            def node_turn() -> float:
                camera.ask(_FEED * before, _TURN_S)
                listener.spin_for(0.2)
                return rate_of(listener.masks['/segmenter/mask'])

            def bare_turn() -> float:
                bare_camera.tell(turns['node'][-1]['fps'], _TURN_S + 1)
                rate = float(segmenter.ask(_TURN_S))
                bare_camera.answer()
                return rate

            alone()
            before = alone()
            end_s = time.monotonic() + options.seconds
            while time.monotonic() < end_s:
                for name, turn in (('node', node_turn), ('bare', bare_turn)):
                    for taken in listener.masks.values():
                        taken.clear()
                    fps = turn()
                    after = alone()
                    turns[name].append({'fps': fps, 'before_fps': before, 'after_fps': after})
                    before = after
    listener.close()
    return {**{name: _ratios(found) for name, found in turns.items()}, 'turns': turns}


def sustained(options: argparse.Namespace) -> dict[str, Any]:
    """Feed `default` with 60 frames/s for minutes, and see whether memory or age grow."""
    listener = Listener(['/segmenter/mask'], raw=True)
    taken = listener.masks['/segmenter/mask']
    minutes = []
    with real_node() as node:
        wait_for_publisher(listener, '/segmenter/mask')
        wait_for_engine(listener)
        with helper(listener, 'cameras', '', '480', '640') as camera:
            for _ in range(options.minutes):
                taken.clear()
                camera.ask(60, 60)
                minutes.append(
                    {
                        'fps': rate_of(taken),
                        'age_p50_ms': 1000 * float(np.median([age for _, age in taken])),
                        'resident_mib': _resident_mib(node.pid),
                    }
                )
    listener.close()
    columns = {key: [minute[key] for minute in minutes] for key in minutes[0]}
    return {**columns, 'counts': listener.values}


def rate_of(taken: list[tuple[float, float]]) -> float:
    """Return the rate of a turn's masks, without those of its beginning [1/s]."""
    settled = [time_s for time_s, _ in taken if time_s > taken[0][0] + _SETTLE_S]
    return (len(settled) - 1) / (settled[-1] - settled[0])


def _ratios(turns: list[dict[str, float]]) -> dict[str, Any]:
    fps, before, after = (
        np.array([turn[key] for turn in turns]) for key in ('fps', 'before_fps', 'after_fps')
    )
    alone = (before + after) / 2
    is_steady = np.abs(before - after) < _STEADY * before
    return {
        'turns': len(turns),
        'ratio_of_means': float(fps.sum() / alone.sum()),
        'steady_turns': int(is_steady.sum()),
        'steady_ratio_quartiles': _quartiles((fps / alone)[is_steady]),
        'alone_fps_quartiles': _quartiles(alone),
    }


def _quartiles(values: Any) -> list[float]:
    return [float(value) for value in np.percentile(values, (25, 50, 75))] if len(values) else []


def overload(options: argparse.Namespace) -> dict[str, Any]:
    """Send 60 frames/s to an engine of 20 frames/s."""
    listener = Listener(['/segmenter/mask'])
    with process('node', '0.05'):
        wait_for_publisher(listener, '/segmenter/mask')
        with helper(listener, 'cameras', '', '480', '640') as camera:
            camera.ask(60, options.overload_seconds)
            listener.spin_for(2.5)
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
        with helper(listener, 'cameras', ','.join(names), '480', '640') as filming:
            filming.ask(10, options.camera_seconds)
            listener.spin_for(0.5)
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

    from hyperseg_ros.messages.encoding import fill_image

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


def _stamp(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def _resident_mib(pid: int) -> float:
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


_BENCHMARKS = {
    'overhead': overhead, 'throughput': throughput, 'sustained': sustained, 'overload': overload,
    'cameras': cameras, 'cycles': cycles,
}  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    os.environ.update(transport_environment())
    if '--role' in sys.argv:
        role, *rest = sys.argv[sys.argv.index('--role') + 1 :]
        if role == 'echo':
            run_echo(rest[0])
        elif role == 'node':
            run_fixed_node(float(rest[0]), [])
        elif role == 'segmenter':
            run_segmenter()
        else:
            names, height, width = rest
            run_cameras(names.split(','), (int(height), int(width)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', nargs='+', choices=sorted(_BENCHMARKS))
    parser.add_argument('--frames', type=int, default=900, help='Of `overhead`.')
    parser.add_argument('--seconds', type=float, default=300.0, help='Of `throughput`.')
    parser.add_argument('--minutes', type=int, default=10, help='Of `sustained`.')
    parser.add_argument('--overload-seconds', type=float, default=20.0)
    parser.add_argument('--camera-seconds', type=float, default=30.0)
    parser.add_argument('--cycles', type=int, default=100)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    report = {}
    for name in options.what:
        report[name] = _BENCHMARKS[name](options)
        told = {key: value for key, value in report[name].items() if key != 'turns'}
        print(f'{name}: {json.dumps(told, indent=2)}', flush=True)
    if options.json is not None:
        from hyperseg_core.commands.hardware import describe_machine

        options.json.write_text(json.dumps({'machine': describe_machine(), **report}, indent=2))


if __name__ == '__main__':
    main()
