# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxscript')

from hyperseg_core import Checkpoint
from hyperseg_core import build_model
from hyperseg_core import load_checkpoint
from hyperseg_core import load_labels
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.inference.engines import Form
from hyperseg_core.inference.export import export_onnx
from hyperseg_core.model.config import preset_names

# What TensorRT 10's ONNX parser lists as supported, of what a network may be made of here
# (github.com/onnx/onnx-tensorrt, docs/operators.md).
TENSORRT_OPERATORS = {
    'Add', 'Cast', 'Clip', 'Concat', 'Constant', 'Conv', 'Div', 'Equal', 'Exp', 'Expand', 'Gather',
    'GlobalAveragePool', 'Greater', 'HardSwish', 'Identity', 'Less', 'MatMul', 'Max', 'Mul', 'Pad',
    'Reciprocal', 'ReduceMean', 'Relu', 'Reshape', 'Resize', 'Sigmoid', 'Slice', 'Split',
    'Squeeze', 'Sub', 'Transpose', 'Unsqueeze', 'Where',
}  # fmt: skip
SIZE = (128, 256)


def _checkpoint(preset: str) -> Checkpoint:
    model = build_model(preset).eval()
    names = {'vocsbd-l': 'voc', 'cityscapes-m': 'cityscapes', 'cityscapes-s': 'cityscapes'}
    labels = load_labels(names.get(preset, 'camvid'))
    return Checkpoint.of_model(model, labels, digest='none')


@pytest.mark.parametrize('preset', preset_names())
def test_exported_graph_keeps_tensorrts_rules(preset: str, tmp_path: Path) -> None:
    path = tmp_path / 'graph.onnx'
    export_onnx(_checkpoint(preset), path, size=SIZE, form='tensorrt')
    graph = onnx.load(path).graph
    constants = {item.name for item in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == 'Constant'}
    operators = {node.op_type for node in graph.node}
    assert operators <= TENSORRT_OPERATORS, operators - TENSORRT_OPERATORS
    for node in graph.node:
        if node.op_type in {'Conv', 'Gemm'}:
            assert set(node.input[1:]) <= constants, node.name
    (frames,) = graph.input
    assert frames.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value for d in frames.type.tensor_type.shape.dim] == [1, *SIZE, 3]
    for output in graph.output:
        assert output.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        assert [d.dim_value for d in output.type.tensor_type.shape.dim] == [1, *SIZE]
    assert [output.name for output in graph.output] == ['labels', 'confidence']


@pytest.mark.parametrize('form', get_args(Form))
def test_no_int64_is_computed_per_pixel(form: str, tmp_path: Path) -> None:
    path = tmp_path / 'graph.onnx'
    export_onnx(_checkpoint('lite0'), path, size=SIZE, form=form)  # type: ignore[arg-type]
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    nodes = [node for node in inferred.node if node.op_type != 'Constant']
    computed = {name for node in nodes for name in node.output}
    for value in inferred.value_info:
        kind = value.type.tensor_type
        if value.name in computed and kind.elem_type == onnx.TensorProto.INT64:
            dims = [dim.dim_value for dim in kind.shape.dim]
            assert np.prod(dims or [1]) < 1024, value.name


def test_command_writes_metadata_that_says_what_it_is(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'net.onnx'
    assert run(['export', str(out), '--checkpoint', str(small_checkpoint)], create_app()) == 0
    properties = {item.key: item.value for item in onnx.load(out).metadata_props}
    assert properties['hyperseg.digest'] == load_checkpoint(small_checkpoint).digest
    assert '"sky"' in properties['hyperseg.labels']
    assert '[128, 192]' in properties['hyperseg.preprocessing']


def test_exported_graph_agrees_with_torch(small_checkpoint: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip('onnxruntime')
    import torch

    from hyperseg_core.inference.export import graph_of

    checkpoint = load_checkpoint(small_checkpoint)
    out = export_onnx(checkpoint, tmp_path / 'a.onnx', size=(128, 192), output_size=(90, 120))
    frames = np.random.default_rng(0).integers(0, 256, (1, 128, 192, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(out), providers=['CPUExecutionProvider'])
    labels, _ = session.run(None, {'frames': frames})
    with torch.inference_mode():
        graph = graph_of(checkpoint, (128, 192), (90, 120), 'onnxruntime')
        expected, _ = graph(torch.from_numpy(frames))
    assert labels.shape == (1, 90, 120)
    assert (labels == expected.numpy()).mean() >= 0.999
