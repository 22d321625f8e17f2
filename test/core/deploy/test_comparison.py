# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from graph_runner import run_values
import numpy as np
import pytest
import torch

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.comparison import write_comparison
from hyperseg_core.inference.engines.torch_network import compare
from hyperseg_core.inference.engines.torch_network import compare_at_once

WAYS = ('graph', 'torch', 'torch at once')


def run_comparison(way: str, logits: torch.Tensor, num_labels: int) -> tuple[np.ndarray, ...]:
    in_torch = {'torch': compare, 'torch at once': compare_at_once}.get(way)
    if in_torch is not None:
        return tuple(value.numpy() for value in in_torch(logits, num_labels))
    graph = GraphBuilder('float32')
    x = graph.input('logits', logits.shape, 'float32')
    pair = write_comparison(graph, x, num_labels)
    outputs = [graph.cast(value, 'uint8', name=f'out_{i}') for i, value in enumerate(pair)]
    return tuple(run_values(graph, outputs, logits.numpy()))


@pytest.mark.parametrize('way', WAYS)
def test_classes_and_confidence_of_known_logits(way: str) -> None:
    logits = torch.tensor([[0.0, 3.0], [2.0, 3.0], [1.0, -5.0]]).reshape(1, 3, 1, 2)
    ids, confidence = run_comparison(way, logits, 3)
    assert ids.shape == (1, 1, 2)
    assert ids.flatten().tolist() == [1, 0]  # the first of equals wins, as argmax does
    expected = (255 * logits.softmax(1).amax(1)).round()
    assert confidence.flatten().tolist() == expected.flatten().tolist()
    ids, _ = run_comparison(way, logits, 1)
    assert ids.flatten().tolist() == [255, 0]


@pytest.mark.parametrize('way', WAYS)
def test_nan_has_no_confidence(way: str) -> None:
    logits = torch.randn(1, 3, 1, 2)
    logits[0, 1, 0, 1] = float('nan')
    _, confidence = run_comparison(way, logits, 3)
    assert confidence[0, 0, 0] > 0
    assert confidence[0, 0, 1] == 0


def test_nan_becomes_0_before_an_engine_makes_bytes_of_it() -> None:
    logits = torch.randn(1, 3, 1, 4)
    for place in range(3):
        logits[0, place, 0, place] = float('nan')
    graph = GraphBuilder('float32')
    pair = write_comparison(graph, graph.input('logits', logits.shape, 'float32'), 3)
    for found in run_values(graph, list(pair), logits.numpy()):
        assert found[0, 0, :3].tolist() == [0.0, 0.0, 0.0]
    assert found[0, 0, 3] > 255 / 3


def test_logits_that_differ_by_the_least_that_floats_can_are_told_apart() -> None:
    logits = torch.tensor([1e-6, 1.0, 300.0, -40.0]).repeat(12, 1)
    winners = torch.tensor([3, 0, 11, 7])
    above = logits[winners, range(4)].nextafter(torch.tensor(torch.inf))
    logits[winners, range(4)] = above
    ids, _ = run_comparison('graph', logits.reshape(1, 12, 2, 2), 12)
    assert ids.flatten().tolist() == winners.tolist()


@pytest.mark.parametrize('way', WAYS)
def test_one_class_is_certain(way: str) -> None:
    ids, confidence = run_comparison(way, torch.randn(2, 1, 3, 4), 1)
    assert not ids.any()
    assert (confidence == 255).all()
