# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import typing

from graph_runner import run_values
import numpy as np
import pytest
import torch

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.forms import PatchWay
from hyperseg_core.deploy.patches import cut_haloed_rows
from hyperseg_core.deploy.patches import cut_planes
from hyperseg_core.deploy.patches import cut_rows
from hyperseg_core.deploy.patches import merge_planes
from hyperseg_core.deploy.patches import merge_rows
from hyperseg_core.deploy.patches import positional_encoding
from hyperseg_core.model import patchwise
from hyperseg_core.model.patchwise import split_patches

WAYS = typing.get_args(PatchWay)


@pytest.mark.parametrize('way', WAYS)
def test_cut_rows_equals_split_patches_and_merges_again(way: PatchWay) -> None:
    features = torch.randn(2, 5, 8, 12)
    graph = GraphBuilder('float32')
    rows = cut_rows(graph, graph.input('x', (2, 5, 8, 12), 'float32'), (2, 3), way)
    merged = merge_rows(graph, rows, 2, (2, 3), (8, 12))
    found = run_values(graph, [rows, merged], features.numpy())
    patches = split_patches(features, (2, 3))
    expected = patches.permute(0, 1, 2, 4, 5, 3).reshape(rows.shape)
    assert np.array_equal(found[0], expected.numpy())
    assert np.array_equal(found[1], features.numpy())


def test_cut_haloed_rows_equals_split_patches() -> None:
    features = torch.randn(2, 5, 8, 12)
    graph = GraphBuilder('float32')
    rows = cut_haloed_rows(graph, graph.input('x', (2, 5, 8, 12), 'float32'), (2, 3))
    (found,) = run_values(graph, [rows], features.numpy())
    expected = split_patches(features, (2, 3), halo=1).permute(0, 1, 2, 4, 5, 3)
    assert np.array_equal(found, expected.reshape(rows.shape).numpy())


@pytest.mark.parametrize('way', WAYS)
def test_cut_planes_equals_split_patches_and_merges_again(way: PatchWay) -> None:
    features = torch.randn(2, 5, 8, 12)
    graph = GraphBuilder('float32')
    planes = cut_planes(graph, graph.input('x', (2, 5, 8, 12), 'float32'), (2, 3), way)
    merged = merge_planes(graph, planes, 2, (2, 3), (8, 12))
    found = run_values(graph, [planes, merged], features.numpy())
    expected = split_patches(features, (2, 3)).reshape(planes.shape)
    assert np.array_equal(found[0], expected.numpy())
    assert np.array_equal(found[1], features.numpy())


def test_positional_encoding_is_the_networks() -> None:
    ours = positional_encoding(6, 9)
    theirs = patchwise.positional_encoding(6, 9, device=torch.device('cpu'), dtype=torch.float64)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-15)
