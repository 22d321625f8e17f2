# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from graph_runner import run_values
import numpy as np
import pytest
import torch

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.decoder import convolve_grouped
from hyperseg_core.deploy.decoder import convolve_shifted
from hyperseg_core.deploy.patches import cut_planes
from hyperseg_core.deploy.patches import cut_rows
from hyperseg_core.deploy.patches import merge_planes
from hyperseg_core.deploy.patches import merge_rows
from hyperseg_core.deploy.patches import positional_encoding
from hyperseg_core.model import patchwise
from hyperseg_core.model.patchwise import convolve_patches
from hyperseg_core.model.patchwise import split_patches


@pytest.mark.parametrize('halo', [0, 1])
def test_cut_rows_equals_split_patches(halo: int) -> None:
    features = torch.randn(2, 5, 8, 12)
    graph = GraphBuilder('float32')
    x = graph.input('x', (2, 8, 12, 5), 'float32')
    rows = cut_rows(graph, x, (2, 3), halo=halo)
    values = [rows] if halo else [rows, merge_rows(graph, rows, 2, (2, 3), (8, 12))]
    found = run_values(graph, values, features.permute(0, 2, 3, 1).contiguous().numpy())
    patches = split_patches(features, (2, 3), halo=halo)
    expected = patches.permute(0, 1, 2, 4, 5, 3).reshape(rows.shape)
    assert np.array_equal(found[0], expected.numpy())
    if halo == 0:
        assert np.array_equal(found[1], features.numpy())


def test_cut_planes_equals_split_patches_and_merges_again() -> None:
    features = torch.randn(2, 5, 8, 12)
    graph = GraphBuilder('float32')
    planes = cut_planes(graph, graph.input('x', (2, 5, 8, 12), 'float32'), (2, 3))
    merged = merge_planes(graph, planes, 2, (2, 3), (8, 12))
    found = run_values(graph, [planes, merged], features.numpy())
    expected = split_patches(features, (2, 3)).reshape(planes.shape)
    assert np.array_equal(found[0], expected.numpy())
    assert np.array_equal(found[1], features.numpy())


@pytest.mark.parametrize('convolve', [convolve_grouped, convolve_shifted])
def test_depthwise_step_gives_each_patch_its_own_kernel(convolve: object) -> None:
    patches, kernels = torch.randn(6, 5, 4, 7), torch.randn(6, 5 * 9)
    graph = GraphBuilder('float32')
    rows = graph.input('rows', (6, 4 * 7, 5), 'float32')
    weights = graph.input('weights', (6, 45), 'float32')
    out = convolve(graph, rows, weights, (2, 5))  # type: ignore[operator]
    inputs = patches.permute(0, 2, 3, 1).reshape(6, 28, 5).contiguous().numpy()
    (found,) = run_values(graph, [out], inputs, kernels.numpy())
    expected = convolve_patches(
        patches.view(1, 2, 3, 5, 4, 7), kernels.view(1, 2, 3, 45), kernel_size=3, depthwise=True
    )
    rows_PKC = expected.view(6, 5, 10).transpose(1, 2)  # noqa: N806
    np.testing.assert_allclose(found, rows_PKC.numpy(), atol=1e-5)


def test_positional_encoding_is_the_networks() -> None:
    ours = positional_encoding(6, 9)
    theirs = patchwise.positional_encoding(6, 9, device=torch.device('cpu'), dtype=torch.float64)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-15)
