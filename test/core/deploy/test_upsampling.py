# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from graph_runner import run_values
import numpy as np
import pytest
import torch
from torch.nn import functional

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.upsampling import bilinear_matrix
from hyperseg_core.deploy.upsampling import write_upsampling


@pytest.mark.parametrize(('size', 'output'), [(12, 48), (24, 90), (16, 16), (30, 20), (7, 23)])
def test_bilinear_matrix_is_interpolation(size: int, output: int) -> None:
    line = torch.randn(1, 1, 1, size, dtype=torch.float64)
    expected = functional.interpolate(line, (1, output), mode='bilinear', align_corners=False)
    torch.testing.assert_close(line @ torch.from_numpy(bilinear_matrix(size, output)).T, expected)


@pytest.mark.parametrize(
    ('coarse', 'fine', 'operator'),
    [
        ((24, 32), (100, 128), 'MatMul'), ((256, 320), (512, 640), 'MatMul'),
        ((192, 512), (768, 2048), 'MatMul'), ((192, 256), (480, 640), 'MatMul'),
        ((160, 288), (720, 1280), 'MatMul'), ((192, 256), (360, 480), 'MatMul'),
        ((64, 96), (480, 640), 'MatMul'), ((416, 736), (1080, 1920), 'MatMul'),
        ((256, 320), (200, 320), 'MatMul'), ((256, 320), (511, 640), 'Resize'),
        ((256, 320), (500, 640), 'MatMul'), ((64, 96), (64, 96), None),
    ],
)  # fmt: skip
def test_every_form_of_upsampling_is_interpolation(
    coarse: tuple[int, int], fine: tuple[int, int], operator: str | None
) -> None:
    x = torch.randn(2, 3, *coarse)
    graph = GraphBuilder('float32')
    bands = write_upsampling(
        graph, graph.input('x', (2, 3, *coarse), 'float32'), fine, num_bands=3
    )
    assert 1 <= len(bands) <= (3 if operator == 'MatMul' else 1)
    joined = graph.concat(bands, 2)
    if operator is None:
        assert joined.name == 'x'
        return
    operators = {node.op_type for node in graph.model({}).graph.node}
    assert operator in operators
    assert not {'MatMul', 'Resize'} - {operator} & operators
    # torch's own float32 coordinates are off by 1e-4 px where lines are many; ours are not.
    expected = functional.interpolate(x.double(), fine, mode='bilinear', align_corners=False)
    (found,) = run_values(graph, [joined], x.numpy())
    tolerance = 1e-5 if operator == 'MatMul' else 1e-3
    np.testing.assert_allclose(found, expected.numpy(), atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ('coarse', 'heights'), [(96, [64, 64, 64]), (64, [64, 32, 32]), (16, [32])]
)
def test_bands_are_of_whole_blocks(coarse: int, heights: list[int]) -> None:
    graph = GraphBuilder('float32')
    x = graph.input('x', (1, 3, coarse, 32), 'float32')
    bands = write_upsampling(graph, x, (2 * coarse, 64), num_bands=3)
    assert [band.shape[2] for band in bands] == heights
