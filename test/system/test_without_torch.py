# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot has no PyTorch: commands and node as processes in which importing it raises."""

import os
from pathlib import Path
import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('openvino')

from hyperseg_core.drive import DriveScene

BLOCKED = ('torch', 'timm', 'torchvision', 'pytorch_lightning', 'onnxscript')


@pytest.fixture(scope='module')
def robot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a process that cannot import what a robot lacks."""
    folder = tmp_path_factory.mktemp('blocked')
    for name in BLOCKED:
        (folder / f'{name}.py').write_text(f'raise ImportError("a robot has no {name}")\n')
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    return {**os.environ, 'PYTHONPATH': path}


def _run(robot: dict[str, str], *words: object) -> str:
    command = [sys.executable, '-m', 'hyperseg_ros', *map(str, words)]
    done = subprocess.run(
        command, env=robot, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_importing_torch_raises_there(robot: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, '-c', 'import torch'], env=robot, capture_output=True, check=False
    )
    assert b'a robot has no torch' in done.stderr


def test_predict_segments_a_picture(
    robot: dict[str, str], small_checkpoint: Path, tmp_path: Path
) -> None:
    frame = DriveScene(1, height=96, width=128).frame(1.0).image
    assert cv2.imwrite(str(tmp_path / 'a.png'), np.ascontiguousarray(frame[..., ::-1]))
    out = tmp_path / 'out'
    _run(robot, 'predict', tmp_path / 'a.png', out, '--checkpoint', small_checkpoint)
    assert cv2.imread(str(out / 'ids' / 'a.png'), cv2.IMREAD_UNCHANGED).shape == (96, 128)


def test_export_build_and_doctor(
    robot: dict[str, str], small_checkpoint: Path, tmp_path: Path
) -> None:
    graph = tmp_path / 'graph.onnx'
    _run(robot, 'export', graph, '--checkpoint', small_checkpoint, '--precision', 'f16')
    assert graph.stat().st_size > 1_000_000
    assert 'is ready' in _run(
        robot, 'build', '--checkpoint', small_checkpoint, '--frame-size', '96', '128'
    )
    assert 'openvino on cpu' in _run(robot, 'doctor')


def test_bag_label_labels_a_bag(
    robot: dict[str, str], small_checkpoint: Path, tmp_path: Path
) -> None:
    bag, out = tmp_path / 'bag', tmp_path / 'out'
    _run(robot, 'bag', 'make', bag, '--drive', '0.1', '--size', '96', '128')
    told = _run(robot, 'bag', 'label', bag, out, '--checkpoint', small_checkpoint)
    assert '3 images labelled' in told


def test_node_publishes_masks(
    robot: dict[str, str], small_checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip('rclpy')
    from node_client import Client
    from node_client import node_process
    from sensor_msgs.msg import Image

    from hyperseg_ros.messages.encoding import fill_image

    client = Client()
    try:
        mask, frames = client.listen('/segmenter/mask'), client.publisher('/image')
        message = fill_image(Image(), np.zeros((96, 128, 3), np.uint8), 'rgb8')
        options = ('-p', 'engine:=openvino')
        with node_process(small_checkpoint, tmp_path / 'log', *options, variables=robot):
            assert client.wait(lambda: bool(frames.publish(message) or mask), 60)
    finally:
        client.close()
