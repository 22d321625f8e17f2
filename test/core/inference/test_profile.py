# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines' own accounts of their nodes, from real engines."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import load_checkpoint
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.inference.engine import EngineName
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines import node_times
from hyperseg_core.inference.engines.onnxruntime_profile import counted
from hyperseg_core.inference.preparation import serialised_graph
from hyperseg_core.inference.profile import OTHER_PART
from hyperseg_core.inference.profile import NodeTime
from hyperseg_core.inference.profile import NodeTimes

SIZE = (128, 192)
FRAMES = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), np.uint8)
CONVOLUTIONS = {'Conv', 'FusedConv', 'Convolution', 'GroupConvolution', 'convolution'}


@pytest.fixture(scope='module')
def task() -> Task:
    return Task(load_checkpoint('fast'), 1, SIZE, SIZE)


@pytest.mark.parametrize('name', ['openvino', 'onnxruntime', 'torch'])
def test_profile_has_every_convolution_and_sums_up_to_the_whole(
    name: EngineName, task: Task
) -> None:
    pytest.importorskip(name)
    spec = EngineSpec(name, 'cpu', 'f32')
    times = node_times(task, spec, FRAMES, 4)
    graph = onnx.load_from_string(serialised_graph(task, spec)).graph
    stored = {item.name for item in graph.initializer}
    kernels = [node.input[1] in stored for node in graph.node if node.op_type == 'Conv']
    # PyTorch's network has products for two of the three steps whose kernels are computed.
    expected = len(kernels) if name != 'torch' else sum(kernels) + 1
    found = sum(node.count for node in times.nodes if node.kind in CONVOLUTIONS)
    assert found == expected
    for shares in [times.by_work(), *([times.by_part()] if times.has_parts else [])]:
        assert sum(share.share for share in shares) == pytest.approx(1)
        assert sum(share.ms for share in shares) == pytest.approx(times.sum_ms)
        assert sum(share.count for share in shares) == sum(node.count for node in times.nodes)
    # Nodes are run one after the other, and a run has little beside them.
    assert 0.3 * times.run_ms < times.sum_ms < 1.1 * times.run_ms
    assert 0 < times.moves_share < 0.9


@pytest.mark.parametrize('name', ['openvino', 'onnxruntime'])
def test_parts_are_those_of_the_network(name: EngineName, task: Task) -> None:
    pytest.importorskip(name)
    times = node_times(task, EngineSpec(name, 'cpu', 'f32'), FRAMES, 1)
    parts = [share.name for share in times.by_part()]
    blocks = [f'backbone.blocks.{i}.{j}' for i, j in ((0, 0), (1, 0), (1, 1), (2, 0))]
    assert {'context_head', OTHER_PART, *blocks} < set(parts)
    assert {f'decoder.meta_blocks.{i}' for i in range(5)} < set(parts)
    assert not [part for part in parts if '/' in part or 'Conv' in part]


def test_warming_up_does_not_count() -> None:
    def event(name: str, index: int, us: int) -> dict:
        about = {'op_name': 'Conv', 'node_index': str(index)}
        return {'cat': 'Node', 'name': f'{name}_kernel_time', 'dur': us, 'args': about}

    events = [{'cat': 'Session', 'name': 'model_run', 'dur': 9, 'args': {}}]
    for us in (90_000, 1000, 3000):  # two nodes of one name
        events += [event('', 1, us), event('', 2, us), event('a_nchwc', 3, 2 * us)]
    found = counted(events, 2)
    assert [(node.work, node.ms) for node in found] == [
        ('Conv', 2), ('Conv', 2), ('Conv nchwc', 4)
    ]  # fmt: skip


def test_sums_are_by_kind_and_by_part() -> None:
    nodes = (
        NodeTime('Conv_6', 'Conv', 'nchwc', 1.0),
        NodeTime('decoder.meta_blocks.2/Transpose_3', 'Transpose', '', 3.0),
        NodeTime('decoder.meta_blocks.2/Conv_4_nchwc', 'Conv', '', 4.0),
        NodeTime('decoder.meta_blocks.3/Conv_5', 'Conv', 'nchwc', 2.0),
    )
    times = NodeTimes(nodes, 11.0, has_parts=True)
    assert [(s.name, s.count, s.ms) for s in times.by_work()] == [
        ('Conv', 1, 4), ('Conv nchwc', 2, 3), ('Transpose', 1, 3)
    ]  # fmt: skip
    assert [(s.name, s.share) for s in times.by_part()] == [
        (OTHER_PART, 0.1), ('decoder.meta_blocks.2', 0.7), ('decoder.meta_blocks.3', 0.2)
    ]  # fmt: skip
    assert times.moves_share == 0.3
    assert NodeTimes(nodes, 11.0, has_parts=False).by_part() == []


@pytest.mark.parametrize(
    'spec', [EngineSpec('tensorrt', 'cuda', 'f16'), EngineSpec('onnxruntime', 'cuda', 'f16')]
)
def test_engine_without_a_profile_is_told_with_what_to_type(spec: EngineSpec, task: Task) -> None:
    with pytest.raises(ConfigError, match=f'^{spec} keeps no profile.*--device cpu') as caught:
        node_times(task, spec, FRAMES, 1)
    assert ('trtexec --dumpProfile' in str(caught.value)) == (spec.name == 'tensorrt')


def test_bench_prints_a_profile_and_keeps_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('openvino')
    path = tmp_path / 'profile.json'
    words = 'bench --profile --checkpoint fast --engine openvino --precision f32 --runs 2'
    sizes = ['--frame-size', '120', '160', '--size', '128', '192']
    assert run([*words.split(), *sizes, '--output', str(path)], create_app()) == 0
    told = capsys.readouterr().out
    assert 'kind of work' in told
    assert 'decoder.meta_blocks.4' in told
    assert 'openvino on cpu, f32: ' in told
    kept = json.loads(path.read_text())
    assert kept['frame_size'] == [120, 160]
    profile = kept['profile']
    assert (profile['engine'], profile['runs']) == ('openvino on cpu, f32', 2)
    assert profile['network_size'] == [128, 192]
    assert sum(row['share'] for row in profile['work']) == pytest.approx(1)
    assert sum(row['ms'] for row in profile['parts']) == pytest.approx(profile['sum_ms'])


def test_bench_times_the_one_engine_that_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip('onnxruntime')
    words = 'bench --checkpoint fast --engine onnxruntime --runs 1 --frame-size 120 160'
    assert run(words.split(), create_app()) == 0
    table = capsys.readouterr().out.partition('{')[0]  # the machine has all engines' versions
    assert 'onnxruntime' in table
    assert 'openvino' not in table


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        ('--engine onxruntime', "Unknown engine 'onxruntime'; known: auto, tensorrt"),
        ('--precision f64', "Unknown precision 'f64'; known: auto, f32"),
    ],
)
def test_bench_names_the_engines_there_are(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(['bench', '--profile', *words.split()], create_app()) == 2
    assert told in capsys.readouterr().err
