# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Peers' files are brought to the whole path, or refused with the reason."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper
from peer_graphs import PeerError
from peer_graphs import whole_path
import pytest

SIZE = (16, 24)
MEAN, STD = np.float32((123.675, 116.28, 103.53)), np.float32((58.395, 57.12, 57.375))
WEIGHT = np.random.default_rng(0).standard_normal((5, 3, 1, 1), np.float32)


def network(
    path: Path, *, stride: int = 4, takes: tuple = (1, 3, *SIZE), opset: int = 18,
    kind: int = TensorProto.FLOAT, ids: bool = False, outputs: int = 1,
) -> Path:  # fmt: skip
    """Write a network of one convolution."""
    nodes = [helper.make_node('Conv', ['image', 'weight'], ['logits'], strides=[stride, stride])]
    found = [helper.make_tensor_value_info('logits', kind, None)]
    if ids:
        nodes.append(helper.make_node('ArgMax', ['logits'], ['best'], axis=1, keepdims=0))
        found = [helper.make_tensor_value_info('best', TensorProto.INT64, None)]
    if outputs == 2:
        nodes.append(helper.make_node('Relu', ['logits'], ['second']))
        found.append(helper.make_tensor_value_info('second', kind, None))
    graph = helper.make_graph(
        nodes, 'peer', [helper.make_tensor_value_info('image', kind, takes)], found,
        [numpy_helper.from_array(WEIGHT, 'weight')],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)]), path)
    return path


def run(graph: bytes, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    return session.run(None, {session.get_inputs()[0].name: frame[None]})[0][0]


def logits_of(frame: NDArray[np.uint8], stride: int) -> NDArray[np.float32]:
    planes = (frame - MEAN) / STD
    return planes[::stride, ::stride] @ WEIGHT[:, :, 0, 0].T


@pytest.fixture
def frame() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.mark.parametrize(
    'takes', [(1, 3, *SIZE), ('batch', 3, 'height', 'width'), (-1, 3, -1, -1)]
)
def test_small_logits_are_enlarged_before_they_are_compared(
    takes: tuple, frame: NDArray[np.uint8], tmp_path: Path
) -> None:
    found = run(whole_path(network(tmp_path / 'a.onnx', takes=takes), SIZE), frame)
    expected = cv2.resize(logits_of(frame, 4), SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected.argmax(2))
    assert len(np.unique(found)) > 2


@pytest.mark.parametrize('stride', [1, 4])
def test_ids_are_enlarged_to_the_nearest(
    stride: int, frame: NDArray[np.uint8], tmp_path: Path
) -> None:
    found = run(whole_path(network(tmp_path / 'a.onnx', ids=True, stride=stride), SIZE), frame)
    small = logits_of(frame, stride).argmax(2)
    expected = small.repeat(stride, 0).repeat(stride, 1)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ('changes', 'told'),
    [
        ({'takes': (1, 3, 32, 24)}, r'takes \[1, 3, 32, 24\], expected \[1, 3, 16, 24\].*--size'),
        ({'takes': (1, *SIZE, 3)}, r'takes \[1, 16, 24, 3\], expected .* \(NCHW\)'),
        ({'takes': (3, *SIZE)}, r'takes \[3, 16, 24\]'),
        ({'opset': 11}, 'opset 11, expected 13 or later; export it with opset 18'),
        ({'kind': TensorProto.FLOAT16}, 'takes FLOAT16, expected float32'),
        ({'outputs': 2}, r'2 outputs \(logits, second\), expected one'),
    ],
)
def test_file_that_does_not_fit_is_refused_with_the_reason(
    changes: dict, told: str, tmp_path: Path
) -> None:
    with pytest.raises(PeerError, match=told):
        whole_path(network(tmp_path / 'a.onnx', **changes), SIZE)


@pytest.mark.parametrize('content', [b'hi', b'\x08\x0a\x3a\xff'])
def test_file_that_is_no_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'a.onnx').write_bytes(content)
    with pytest.raises(PeerError, match='cannot be read'):
        whole_path(tmp_path / 'a.onnx', SIZE)
