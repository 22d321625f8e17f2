# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every preset and form goes through a real TensorRT builder.

TensorRT for RTX builds without a GPU: `pip install '.[rtx]'`.
"""

import functools
from typing import Any

import pytest
import torch

from hyperseg_core import Checkpoint
from hyperseg_core import EngineError
from hyperseg_core import build_model
from hyperseg_core import load_labels
from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engines.tensorrt_builder import build_plan
from hyperseg_core.inference.engines.tensorrt_builder import builder_options
from hyperseg_core.inference.engines.tensorrt_builder import shared_logger
from hyperseg_core.model.config import preset_names

SIZE = (128, 256)


@pytest.fixture(scope='module')
def trt() -> Any:
    return pytest.importorskip(
        'tensorrt_rtx_bindings', exc_type=ImportError,
        reason="TensorRT for RTX is missing: pip install '.[rtx]'",
    )  # fmt: skip


@functools.lru_cache(maxsize=1)
def checkpoint_of(preset: str) -> Checkpoint:
    torch.manual_seed(0)
    names = {'vocsbd-l': 'voc', 'cityscapes-m': 'cityscapes', 'cityscapes-s': 'cityscapes'}
    model = build_model(preset).eval()
    return Checkpoint.of_model(model, load_labels(names.get(preset, 'camvid')), digest='none')


def options(precision: str) -> Any:
    return builder_options(EngineSpec('tensorrt', 'cuda', precision))  # type: ignore[arg-type]


def graph_of(preset: str, form: str, precision: str, **more: Any) -> bytes:
    graph = build_graph(
        checkpoint_of(preset),
        SIZE,
        form=form,
        precision=precision,
        **more,  # type: ignore[arg-type]
    )
    return bytes(graph.SerializeToString())


@pytest.mark.parametrize('precision', ['f32', 'f16'])
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('preset', preset_names())
def test_graph_is_parsed_and_built(preset: str, form: str, precision: str, trt: Any) -> None:
    told: list[str] = []
    plan = build_plan(trt, graph_of(preset, form, precision), options(precision), b'', told.append)
    weights = sum(tensor.size for tensor in checkpoint_of(preset).tensors().values())
    # Weights are in the plan, in the type of the graph; code and constants are the rest.
    size = weights * (4 if precision == 'f32' else 2)
    assert 0.9 * size < len(plan.data) < size + (11 << 20)
    runtime = trt.Runtime(shared_logger(trt))
    assert runtime.get_engine_validity(plan.data) is not None
    assert any('%' in line for line in told)


@pytest.mark.parametrize('precision', ['f32', 'f16'])
@pytest.mark.parametrize('output', [(120, 250), (127, 255)])
def test_batches_and_sizes_of_cameras_are_built(
    output: tuple[int, int], precision: str, trt: Any
) -> None:
    graph = graph_of('lite0-refined', 'tensorrt', precision, batch=2, output_size=output)
    assert build_plan(trt, graph, options(precision), b'', lambda text: None).data


def test_timings_of_one_build_are_taken_by_the_next(trt: Any) -> None:
    graph = graph_of('lite0-small', 'tensorrt', 'f16')
    first = build_plan(trt, graph, options('f16'), b'', lambda text: None)
    assert first.timings
    assert build_plan(trt, graph, options('f16'), first.timings, lambda text: None).data
    assert build_plan(trt, graph, options('f16'), b'foreign', lambda text: None).data


def test_what_the_parser_refuses_is_named(trt: Any) -> None:
    graph = GraphBuilder('float32')
    frames = graph.input('frames', (1, 4, 4, 3), 'uint8')
    graph.output(graph.transpose(frames, (0, 3, 1, 2)))
    model = graph.model({}).SerializeToString()
    with pytest.raises(EngineError, match=r'not parse the graph: .*input has type UInt8'):
        build_plan(trt, model, options('f32'), b'', lambda text: None)
