# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`make demo`: a camera, the node and a listener, each a process, over real DDS."""

import argparse
import contextlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

import rclpy
from rclpy.signals import SignalHandlerOptions
from rich.console import Console
from rich.live import Live

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_ros.cameras.rendered_street import SEED
from hyperseg_ros.demo.collector import Collector
from hyperseg_ros.demo.collector import is_demo_bag
from hyperseg_ros.demo.processes import camera_arguments
from hyperseg_ros.demo.processes import ground_arguments
from hyperseg_ros.demo.processes import has_ground
from hyperseg_ros.demo.processes import process
from hyperseg_ros.demo.report import closing_words
from hyperseg_ros.demo.report import live_table
from hyperseg_ros.process.leaving import leave_graph
from hyperseg_ros.process.running import stop_on_signals
from hyperseg_ros.process.transport import transport_environment

_SILENT_S = 60.0
_UNMET_S = 20.0


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
    os.environ.update(transport_environment())
    output = options.output
    try:
        output.mkdir(parents=True, exist_ok=True)
        _clear(output)
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
        'max_age_s:=1.0',
    ]
    commands = {'node': ['node.segmenter_node', *node]} | ({'camera': camera} if camera else {})
    street = DriveScene(SEED) if has_ground(options) else None
    if street is not None:
        commands['ground'] = ground_arguments(street.pose(0.0).height_m)
    with contextlib.ExitStack() as stack:
        children = {
            name: stack.enter_context(process(*command, log=output / f'{name}.log'))
            for name, command in commands.items()
        }
        collector, status = _collect(options, topic, children, output, street)
    leave_graph(collector, status=status)
    return status


def _clear(output: Path) -> None:
    """Remove an earlier demo's results, and nothing else.

    Raises:
        InputError: If something else lies where the masks would go.
    """
    masks = output / 'masks'
    if masks.exists():
        if not is_demo_bag(masks):
            msg = f'{masks} is there and not of an earlier demo; give another `--output`.'
            raise InputError(msg)
        shutil.rmtree(masks)
    for name in ('overlay.mp4', 'contact_sheet.png'):
        (output / name).unlink(missing_ok=True)


def _collect(
    options: argparse.Namespace,
    topic: str,
    children: dict[str, 'subprocess.Popen[bytes]'],
    output: Path,
    street: DriveScene | None,
) -> tuple[Collector, int]:
    console, stop = Console(), stop_on_signals()
    console.print('Starting: camera, node and listener. The first time, an engine is built.')
    labels = load_checkpoint(options.checkpoint).label_set

    def listen() -> Collector:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        return Collector(topic, labels, output, street, use_sim_time=bool(options.bag))

    collector = listen()
    begin_s = met_s = time.monotonic()
    with Live(live_table(collector), console=console, refresh_per_second=4) as live:
        while not stop.is_set() and not _is_over(collector, options.seconds, begin_s, children):
            rclpy.spin_once(collector, timeout_sec=0.1)
            live.update(live_table(collector))
            if not collector.has_met_node and time.monotonic() - met_s > _UNMET_S:
                # DDS participants that start together on a busy machine now and then never
                # discover each other; a new one is discovered.
                collector.destroy_node()
                rclpy.try_shutdown()
                collector, met_s = listen(), time.monotonic()
    if stop.is_set():
        console.print('Interrupted.')
    collector.finish()
    console.print(closing_words(collector, children, output))
    return collector, 0 if collector.num_masks else 1


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


if __name__ == '__main__':
    sys.exit(main())
