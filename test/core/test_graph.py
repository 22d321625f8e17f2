# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import get_args

import pytest
from reference_case import load_reference_case
import torch
from torch.nn import functional

from hyperseg_core import build_model
from hyperseg_core import import_published
from hyperseg_core.inference.engines import Form
from hyperseg_core.inference.graph import DeployableGraph
from hyperseg_core.inference.graph import compare_by_planes
from hyperseg_core.inference.graph import compare_by_reductions
from hyperseg_core.inference.graph import cut_rows
from hyperseg_core.inference.graph import merge_rows
from hyperseg_core.inference.upsampling import BlockProducts
from hyperseg_core.inference.upsampling import Interpolation
from hyperseg_core.inference.upsampling import bilinear_matrix
from hyperseg_core.inference.upsampling import build_upsampling
from hyperseg_core.model.patchwise import split_patches
from hyperseg_core.model.pixels import normalise
from hyperseg_core.model.published import PUBLISHED_PRESETS


@pytest.mark.parametrize('preset', PUBLISHED_PRESETS)
@pytest.mark.parametrize('form', get_args(Form))
def test_every_form_computes_what_the_network_does(preset: str, form: str) -> None:
    case = load_reference_case(preset)
    model = import_published(case.state_dict)
    # The running statistics were taken on the case's image: other input would overflow.
    mean, std = (torch.tensor(v)[:, None, None] for v in (model.config.mean, model.config.std))
    image = ((case.images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    frames = torch.cat((image, image.flip(-1))).permute(0, 2, 3, 1).contiguous()
    graph = DeployableGraph(
        model, num_labels=model.config.num_classes, size=frames.shape[1:3], form=form
    )  # type: ignore[arg-type]
    with torch.inference_mode():
        logits = model(normalise(frames.permute(0, 3, 1, 2), model.config))
        ids, confidence = graph(frames)
        ours = graph.logits(frames)
    assert (ours - logits).abs().max() <= 2e-3 * logits.std()
    assert (ids == logits.argmax(1)).float().mean() >= 0.999
    expected = 255 * logits.softmax(1).amax(1)
    assert (confidence.float() - expected).abs().max() <= 2


@pytest.mark.parametrize('form', get_args(Form))
def test_graph_refines_as_the_network_does(form: str) -> None:
    torch.manual_seed(0)
    model = build_model('lite0-refined').train()
    torch.nn.init.uniform_(model.decoder.meta_blocks[-1].norms[0].weight, 0.5, 1.5)
    frames = torch.randint(0, 256, (2, 128, 192, 3), dtype=torch.uint8)
    images = normalise(frames.permute(0, 3, 1, 2), model.config)
    with torch.no_grad():
        for _ in range(30):  # running statistics that fit, or numbers grow from level to level
            model(images)
    graph = DeployableGraph(model, num_labels=11, size=(128, 192), form=form)  # type: ignore[arg-type]
    unrefined = DeployableGraph(model, num_labels=11, size=(128, 192))
    torch.nn.init.zeros_(unrefined.network.decoder.weight_mappers[-1].conv.weight)
    torch.nn.init.zeros_(unrefined.network.decoder.meta_blocks[-1].norms[0].bias)
    with torch.inference_mode():
        expected = model.eval()(images)
        ours = graph.logits(frames)
        assert (ours - expected).abs().max() <= 1e-3 * expected.std()
        assert (unrefined.logits(frames) - expected).abs().max() > 0.1 * expected.std()


@pytest.mark.parametrize('halo', [0, 1])
def test_cut_rows_equals_split_patches(halo: int) -> None:
    features = torch.randn(2, 5, 8, 12)
    rows = cut_rows(features.permute(0, 2, 3, 1), (2, 3), halo=halo)
    patches = split_patches(features, (2, 3), halo=halo)
    expected = patches.permute(0, 1, 2, 4, 5, 3).reshape(rows.shape)
    assert torch.equal(rows, expected)
    if halo == 0:
        assert torch.equal(merge_rows(rows, 2, (2, 3), (8, 12)), features)


@pytest.mark.parametrize(('size', 'output'), [(12, 48), (24, 90), (16, 16), (30, 20)])
def test_bilinear_matrix_is_interpolation(size: int, output: int) -> None:
    line = torch.randn(1, 1, 1, size)
    expected = functional.interpolate(line, (1, output), mode='bilinear', align_corners=False)
    torch.testing.assert_close(line @ bilinear_matrix(size, output).T, expected)


@pytest.mark.parametrize(
    ('coarse', 'fine', 'form'),
    [
        ((24, 32), (100, 128), BlockProducts), ((256, 320), (512, 640), BlockProducts),
        ((192, 512), (768, 2048), BlockProducts), ((192, 256), (480, 640), BlockProducts),
        ((160, 288), (720, 1280), BlockProducts), ((192, 256), (360, 480), BlockProducts),
        ((64, 96), (480, 640), BlockProducts), ((416, 736), (1080, 1920), BlockProducts),
        ((256, 320), (200, 320), BlockProducts), ((256, 320), (511, 640), Interpolation),
        ((256, 320), (500, 640), BlockProducts), ((64, 96), (64, 96), Interpolation),
    ],
)  # fmt: skip
def test_every_form_of_upsampling_is_interpolation(
    coarse: tuple[int, int], fine: tuple[int, int], form: type
) -> None:
    x = torch.randn(2, 3, *coarse)
    upsampling = build_upsampling(coarse, fine, num_bands=3)
    assert type(upsampling) is form
    # torch's own float32 coordinates are off by 1e-4 px where lines are many; ours are not.
    exact = x if form is Interpolation else x.double()
    expected = functional.interpolate(exact, fine, mode='bilinear', align_corners=False)
    bands = upsampling(x)
    assert len(bands) == (3 if form is BlockProducts else 1)
    ours = torch.cat(bands, 2).to(exact.dtype)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('compare', [compare_by_planes, compare_by_reductions])
def test_classes_and_confidence_of_known_logits(
    compare: Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]],
) -> None:
    logits = torch.tensor([[0.0, 3.0], [2.0, 3.0], [1.0, -5.0]]).reshape(1, 3, 1, 2)
    ids, confidence = compare(logits, 3)
    assert ids.flatten().tolist() == [1, 0]  # the first of equals wins, as argmax does
    expected = (255 * logits.softmax(1).amax(1)).round()
    assert confidence.flatten().tolist() == expected.flatten().tolist()
    ids, _ = compare(logits, 1)
    assert ids.flatten().tolist() == [255, 0]
