# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A GPU that is lost under a running node, over DDS; GPU and TensorRT are stand-ins."""

from pathlib import Path
import time
from typing import Any

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('onnxruntime')

from diagnostic_msgs.msg import DiagnosticStatus
from node_client import Client
from node_client import node_process
import numpy as np
from sensor_msgs.msg import Image

from hyperseg_core.drive import DriveScene
from hyperseg_ros.process.status import ENGINE_LOST

NODE = str(Path(__file__).with_name('gpu_node.py'))
SIZE = (256, 384)
AUTO = ('-p', 'engine:=auto')


def street(client: Client) -> Image:
    pixels = DriveScene(3, height=SIZE[0], width=SIZE[1]).frame(1.0).image
    message = Image(height=SIZE[0], width=SIZE[1], step=3 * SIZE[1], encoding='rgb8')
    message.header.stamp = client.node.get_clock().now().to_msg()
    message.data.frombytes(np.ascontiguousarray(pixels).data)
    return message


def feed(client: Client, frames: Any, masks: list[Any], count: int, seconds: float) -> float:
    """Publish frames until so many masks came; return how long that took [s]."""
    start_s, target = time.monotonic(), len(masks) + count
    while len(masks) < target:
        assert time.monotonic() < start_s + seconds, 'no mask'
        frames.publish(street(client))
        client.wait(lambda: len(masks) >= target, 0.2)
    return time.monotonic() - start_s


def engine_of(diagnostics: list[Any]) -> Any:
    found = [item for item in diagnostics[-1].status if item.name == '/segmenter: engine']
    return found[0] if found else None


def test_node_goes_on_with_the_cpu_when_its_gpu_is_lost(client: Client, tmp_path: Path) -> None:
    masks, diagnostics = client.listen('/segmenter/mask'), client.diagnostics()
    frames, lose, log = client.publisher('/image'), tmp_path / 'lose', tmp_path / 'log'
    variables = {'LOSE_GPU': str(lose)}
    with node_process(Path('fast'), log, *AUTO, module=NODE, variables=variables) as child:
        feed(client, frames, masks, 2, 60)
        before = np.array(masks[-1].data)
        diagnostics.clear()  # of the time when there was no engine yet
        assert client.wait(lambda: bool(diagnostics), 5)
        assert engine_of(diagnostics).level == DiagnosticStatus.OK
        assert engine_of(diagnostics).message == 'tensorrt on cuda, f16'
        lose.touch()
        masks.clear()
        assert feed(client, frames, masks, 3, 20) < 5
        assert (np.array(masks[-1].data) == before).mean() >= 0.998
        diagnostics.clear()
        assert client.wait(lambda: bool(diagnostics), 5)
        found = engine_of(diagnostics)
        assert found.level == DiagnosticStatus.ERROR
        assert 'tensorrt on cuda, f16 was lost' in found.message
        assert 'openvino on cpu, f32 is in use' in found.message
        assert child.poll() is None
    told = [line for line in log.read_text().splitlines() if 'ERROR' in line]
    assert len(told) == 1
    assert 'CUDA_ERROR_ILLEGAL_ADDRESS (700)' in told[0]
    assert 'openvino on cpu, f32 goes on.' in told[0]


def test_node_ends_with_a_status_of_its_own_where_that_is_asked_for(
    client: Client, tmp_path: Path
) -> None:
    masks, frames = client.listen('/segmenter/mask'), client.publisher('/image')
    lose, log = tmp_path / 'lose', tmp_path / 'log'
    with node_process(
        Path('fast'), log, *AUTO, '-p', 'on_engine_loss:=exit', module=NODE,
        variables={'LOSE_GPU': str(lose)}, status=ENGINE_LOST,
    ) as child:  # fmt: skip
        feed(client, frames, masks, 1, 60)
        lose.touch()
        end_s = time.monotonic() + 10
        while child.poll() is None:
            assert time.monotonic() < end_s
            frames.publish(street(client))
            client.spin(0.2)
    text = log.read_text()
    assert 'Segmentation stopped: tensorrt on cuda, f16 failed' in text
    assert 'Traceback' not in text


def test_gpu_that_is_lost_at_the_start_ends_the_node_with_that_status_too(
    client: Client, tmp_path: Path
) -> None:
    lose, log = tmp_path / 'lose', tmp_path / 'log'
    lose.touch()
    variables = {'LOSE_GPU': str(lose), 'XDG_CACHE_HOME': str(tmp_path)}
    with node_process(
        Path('fast'), log, *AUTO, '-p', 'on_engine_loss:=exit', module=NODE,
        variables=variables, status=ENGINE_LOST,
    ) as child:  # fmt: skip
        assert client.wait(lambda: child.poll() is not None, 30)
    text = log.read_text()
    assert text.count('Segmentation stopped: ') == 1
    assert 'CUDA_ERROR_ILLEGAL_ADDRESS (700)' in text


def test_gpu_that_is_lost_at_the_start_is_replaced_and_told(
    client: Client, tmp_path: Path
) -> None:
    masks, diagnostics = client.listen('/segmenter/mask'), client.diagnostics()
    frames, lose, log = client.publisher('/image'), tmp_path / 'lose', tmp_path / 'log'
    lose.touch()
    variables = {'LOSE_GPU': str(lose), 'XDG_CACHE_HOME': str(tmp_path)}
    with node_process(Path('fast'), log, *AUTO, module=NODE, variables=variables):
        feed(client, frames, masks, 1, 60)
        diagnostics.clear()
        assert client.wait(lambda: bool(diagnostics), 5)
        found = engine_of(diagnostics)
        assert found.level == DiagnosticStatus.ERROR
        assert 'tensorrt on cuda, f16 was lost' in found.message
