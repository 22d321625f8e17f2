# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules that engines have for graphs, and what an exported file says of itself."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
import pytest

from hyperseg_core import Checkpoint
from hyperseg_core import build_model
from hyperseg_core import load_checkpoint
from hyperseg_core import load_labels
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.model.config import preset_names

# What TensorRT 10's ONNX parser lists as supported, of what a network may be made of here
# (github.com/onnx/onnx-tensorrt, docs/operators.md).
TENSORRT_OPERATORS = {
    'Add', 'Cast', 'Clip', 'Concat', 'Conv', 'Div', 'Exp', 'Expand', 'Gather', 'Greater',
    'Less', 'MatMul', 'Max', 'Mul', 'ReduceMean', 'Relu', 'Reshape', 'Resize', 'Sigmoid', 'Slice',
    'Split', 'Sub', 'Transpose', 'Where',
}  # fmt: skip
SIZE = (128, 256)


def checkpoint_of(preset: str) -> Checkpoint:
    model = build_model(preset).eval()
    names = {'vocsbd-l': 'voc', 'cityscapes-m': 'cityscapes', 'cityscapes-s': 'cityscapes'}
    return Checkpoint.of_model(model, load_labels(names.get(preset, 'camvid')), digest='none')


def inferred(model: onnx.ModelProto) -> dict[str, onnx.TypeProto.Tensor]:
    """Return the type of every value, as onnx itself infers it."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    infos = [*graph.value_info, *graph.input, *graph.output]
    return {info.name: info.type.tensor_type for info in infos}


@pytest.mark.parametrize('preset', preset_names())
def test_graph_keeps_tensorrts_rules(preset: str) -> None:
    model = build_graph(checkpoint_of(preset), SIZE, form='tensorrt')
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    constants = {item.name for item in graph.initializer}
    operators = {node.op_type for node in graph.node}
    assert operators <= TENSORRT_OPERATORS, operators - TENSORRT_OPERATORS
    for node in graph.node:
        if node.op_type == 'Conv':
            assert set(node.input[1:]) <= constants, node.name
    (frames,) = graph.input
    assert frames.type.tensor_type.elem_type == TensorProto.UINT8
    assert [d.dim_value for d in frames.type.tensor_type.shape.dim] == [1, *SIZE, 3]
    for output in graph.output:
        assert output.type.tensor_type.elem_type == TensorProto.UINT8
        assert [d.dim_value for d in output.type.tensor_type.shape.dim] == [1, *SIZE]
    assert [output.name for output in graph.output] == ['labels', 'confidence']


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('preset', ['lite0-refined', 'cityscapes-s', 'vocsbd-l'])
def test_every_shape_is_known_and_as_inferred(preset: str, form: str) -> None:
    model = build_graph(checkpoint_of(preset), SIZE, batch=2, output_size=(90, 120), form=form)
    onnx.checker.check_model(model, full_check=True)
    types = inferred(model)
    for node in model.graph.node:
        for name in node.output:
            dims = types[name].shape.dim
            assert all(dim.dim_value > 0 for dim in dims), node.name


@pytest.mark.parametrize('precision', ['f32', 'f16'])
@pytest.mark.parametrize('form', FORMS)
def test_no_int64_is_computed_and_uint8_meets_nothing_but_cast(form: str, precision: str) -> None:
    model = build_graph(checkpoint_of('lite0-refined'), SIZE, form=form, precision=precision)
    types = inferred(model)
    for node in model.graph.node:
        for name in node.output:
            assert types[name].elem_type != TensorProto.INT64, name
        touched = {types[name].elem_type for name in [*node.input, *node.output] if name in types}
        assert TensorProto.UINT8 not in touched or node.op_type == 'Cast', node.name


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('preset', ['lite0-refined', 'camvid-s'])
def test_float16_graph_computes_in_it_but_for_its_two_ends(preset: str, form: str) -> None:
    model = build_graph(checkpoint_of(preset), SIZE, form=form, precision='f16')
    types = inferred(model)
    kinds = [types[node.output[0]].elem_type for node in model.graph.node]
    halves = [index for index, kind in enumerate(kinds) if kind == TensorProto.FLOAT16]
    heavy = {'Conv', 'MatMul', 'Resize', 'Gather', 'Clip', 'Relu', 'Sigmoid', 'ReduceMean'}
    for node, kind in zip(model.graph.node, kinds, strict=True):
        assert kind == TensorProto.FLOAT16 or node.op_type not in heavy, node.name
    # Cast, Sub and Mul of the pixels, as lines of numbers, come before.
    assert [n.op_type for n in model.graph.node[: halves[0]]] == [
        'Cast', 'Reshape', 'Sub', 'Mul', 'Reshape', 'Transpose',
    ]  # fmt: skip
    names = {model.graph.node[index].output[0] for index in halves}
    first_end = next(
        index
        for index, node in enumerate(model.graph.node)
        if node.op_type == 'Cast' and node.input[0] in names
    )
    exact = {'Greater', 'Exp', 'Max', 'Div'}
    assert not {n.op_type for n in model.graph.node[: first_end - 1]} & exact


def test_graph_is_small() -> None:
    checkpoint = load_checkpoint('default')
    counts = {
        form: len(build_graph(checkpoint, (384, 512), form=form).graph.node) for form in FORMS
    }
    assert counts['openvino'] <= 510
    assert counts['onnxruntime'] <= 330
    assert counts['tensorrt'] <= 345


@pytest.mark.parametrize('precision', ['f32', 'f16'])
def test_command_writes_metadata_that_says_what_it_is(
    precision: str, small_checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'net.onnx'
    arguments = ['export', str(out), '--checkpoint', str(small_checkpoint)]
    assert run([*arguments, '--precision', precision], create_app()) == 0
    model = onnx.load(out)
    properties = {item.key: item.value for item in model.metadata_props}
    assert properties['hyperseg.digest'] == load_checkpoint(small_checkpoint).digest
    assert '"sky"' in properties['hyperseg.labels']
    assert '[128, 192]' in properties['hyperseg.preprocessing']
    kinds = {item.data_type for item in model.graph.initializer}
    assert (TensorProto.FLOAT16 in kinds) == (precision == 'f16')


def test_command_takes_size_batch_and_form(small_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / 'net.onnx'
    arguments = ['export', str(out), '--checkpoint', str(small_checkpoint), '--batch', '3']
    arguments += ['--size', '[64, 128]', '--output-size', '[90, 120]', '--form', 'onnxruntime']
    assert run(arguments, create_app()) == 0
    graph = onnx.load(out).graph
    shapes = [
        [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        for item in (*graph.input, *graph.output)
    ]
    assert shapes == [[3, 64, 128, 3], [3, 90, 120], [3, 90, 120]]


def test_exported_graph_agrees_with_torch(small_checkpoint: Path) -> None:
    from graph_runner import run_model

    from hyperseg_core.inference.engine import EngineSpec
    from hyperseg_core.inference.engine import Task
    from hyperseg_core.inference.engines.torch import TorchEngine

    checkpoint = load_checkpoint(small_checkpoint)
    frames = np.random.default_rng(0).integers(0, 256, (1, 128, 192, 3), dtype=np.uint8)
    model = build_graph(checkpoint, (128, 192), output_size=(90, 120))
    labels, _ = run_model(model, frames)
    task = Task(checkpoint, 1, (128, 192), (90, 120))
    expected, _ = TorchEngine(task, EngineSpec('torch', 'cpu', 'f32')).run(frames)
    assert labels.shape == (1, 90, 120)
    assert (labels == expected).mean() >= 0.999
