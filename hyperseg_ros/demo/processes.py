# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's camera and node, each a process of its own."""

import argparse
from collections.abc import Iterator
import contextlib
import importlib.util
from pathlib import Path
import signal
import subprocess
import sys


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
                'cameras.capture',
                *remap,
                '-p',
                f'source:="{source}"',
                '-p',
                'rate:=15.0',
            ], topic
    return ['cameras.rendered_street', *remap, '-p', 'rate:=15.0', '-p', 'frames:=120'], topic


def has_ground(options: argparse.Namespace) -> bool:
    """Tell whether `ground` can be shown: in the rendered street, whose geometry is known."""
    given = (options.topic, options.bag, options.video, options.images, options.camera)
    has_grids = importlib.util.find_spec('nav_msgs') is not None
    return has_grids and all(source is None for source in given)


def ground_arguments(height_m: float) -> list[str]:
    """Return the module and arguments of `ground` for the rendered street's camera."""
    return [
        'planner.ground_node', '--ros-args', '-r', 'mask:=/segmenter/mask',
        '-r', 'camera_info:=/segmenter/camera_info', '-p', 'label_set:=camvid',
        '-p', f'camera_pose:=[0.0, 0.0, {height_m:.4f}, 0.0, 0.0, 0.0]', '-p', 'max_age_s:=0.0',
    ]  # fmt: skip


def _first_image_topic(bag: Path) -> str:
    from hyperseg_ros.bags.reader import open_bag
    from hyperseg_ros.bags.topics import image_topics

    with open_bag(bag) as reader:
        return str(image_topics(reader, None).chosen[0].topic)
