# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The graph computes what the network does: every preset, form, size and batch."""

import copy
import dataclasses
from typing import Any

from graph_runner import run_logits
from graph_runner import run_model
import numpy as np
import pytest
from reference_case import load_reference_case
import torch
from torch.nn import functional

from hyperseg_core import Checkpoint
from hyperseg_core import CheckpointError
from hyperseg_core import ConfigError
from hyperseg_core import EngineError
from hyperseg_core import HyperSeg
from hyperseg_core import build_model
from hyperseg_core import import_published
from hyperseg_core import load_labels
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.forms import Form
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.labels import LabelClass
from hyperseg_core.labels import LabelSet
from hyperseg_core.model.published import PUBLISHED_PRESETS

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 128, 192, 3), dtype=np.uint8)


def label_set(num_classes: int) -> LabelSet:
    classes = [LabelClass(name=f'class {i}', colour=(i, 0, 0)) for i in range(num_classes)]
    return LabelSet(name='test', classes=tuple(classes), groups={})


def checkpoint_of(model: HyperSeg, num_labels: int | None = None) -> Checkpoint:
    return Checkpoint.of_model(
        model, label_set(num_labels or model.config.num_classes), digest='test'
    )


def calibrated(preset: str) -> HyperSeg:
    """Return a network with running statistics that fit, or numbers grow from level to level."""
    torch.manual_seed(0)
    model = build_model(preset).train()
    norm = model.decoder.meta_blocks[-1].norms[0]
    torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    images = normalised(FRAMES, model).float()
    with torch.no_grad():
        for _ in range(30):
            model(images)
    return model.eval()


def normalised(frames: np.ndarray, model: HyperSeg) -> torch.Tensor:
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).double()
    mean, std = (
        torch.tensor(numbers, dtype=torch.float64)[:, None, None] * 255
        for numbers in (model.config.mean, model.config.std)
    )
    return (images - mean) / std


def exact_logits(model: HyperSeg, frames: np.ndarray) -> torch.Tensor:
    """Compute the network's logits in float64: float32 itself is off by up to 7e-5."""
    with torch.inference_mode():
        return copy.deepcopy(model).double()(normalised(frames, model))


@pytest.mark.parametrize('preset', PUBLISHED_PRESETS)
def test_every_form_of_a_published_preset_computes_what_the_network_does(preset: str) -> None:
    case = load_reference_case(preset)
    model = import_published(case.state_dict)
    # The running statistics were taken on the case's image: other input would overflow.
    mean, std = (torch.tensor(v)[:, None, None] for v in (model.config.mean, model.config.std))
    image = ((case.images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    frames = torch.cat((image, image.flip(-1))).permute(0, 2, 3, 1).contiguous().numpy()
    checkpoint = checkpoint_of(model)
    logits = exact_logits(model, frames)
    expected = 255 * logits.softmax(1).amax(1)
    for name, form in FORMS.items():
        ours = torch.from_numpy(run_logits(checkpoint, form, frames))
        assert (ours - logits).abs().max() <= 1e-4 * logits.std(), name
        graph = build_graph(checkpoint, frames.shape[1:3], batch=2, form=name)
        ids, confidence = run_model(graph, frames)
        assert (ids == logits.argmax(1).numpy()).mean() >= 0.9999, name
        assert np.abs(confidence - expected.numpy()).max() <= 1, name


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('preset', ['lite0-refined', 'lite0-small-refined', 'lite1', 'lite2'])
def test_every_form_of_our_presets_computes_what_the_network_does(preset: str, form: str) -> None:
    model = calibrated(preset)
    expected = exact_logits(model, FRAMES)
    ours = torch.from_numpy(run_logits(checkpoint_of(model), FORMS[form], FRAMES))
    assert (ours - expected).abs().max() <= 1e-4 * expected.std()


@pytest.mark.parametrize('form', FORMS)
def test_refinement_is_part_of_what_is_compared(form: str) -> None:
    model = calibrated('lite0-refined')
    expected = exact_logits(model, FRAMES)
    unrefined = copy.deepcopy(model)
    torch.nn.init.zeros_(unrefined.decoder.meta_blocks[-1].norms[0].weight)
    torch.nn.init.zeros_(unrefined.decoder.meta_blocks[-1].norms[0].bias)
    ours = torch.from_numpy(run_logits(checkpoint_of(unrefined), FORMS[form], FRAMES))
    assert (ours - expected).abs().max() > 0.1 * expected.std()


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('output', [(100, 128), (360, 480), (127, 191), (128, 200), (64, 96)])
def test_ids_come_at_the_size_that_is_asked_for(output: tuple[int, int], form: str) -> None:
    checkpoint = checkpoint_of(calibrated('lite0-small'))
    with torch.inference_mode():
        coarse = (
            copy.deepcopy(checkpoint.model)
            .double()
            .coarse_logits(normalised(FRAMES[:1], checkpoint.model))
        )
        expected = functional.interpolate(coarse, output, mode='bilinear', align_corners=False)
    ours = torch.from_numpy(run_logits(checkpoint, FORMS[form], FRAMES[:1], output))
    # An engine's own interpolation has float32 coordinates.
    assert (ours - expected).abs().max() <= 2e-4 * expected.std()
    ids, confidence = run_model(
        build_graph(checkpoint, (128, 192), output_size=output, form=form), FRAMES[:1]
    )
    assert ids.shape == confidence.shape == (1, *output)
    assert (ids == expected.argmax(1).numpy()).mean() >= 0.9999


@pytest.mark.parametrize('form', FORMS)
def test_output_beyond_the_label_set_is_unlabelled(form: str) -> None:
    model = calibrated('lite0')
    ids, _ = run_model(build_graph(checkpoint_of(model), (128, 192), batch=2, form=form), FRAMES)
    less, _ = run_model(
        build_graph(checkpoint_of(model, 10), (128, 192), batch=2, form=form), FRAMES
    )
    assert (ids == 10).any()
    assert np.array_equal(less, np.where(ids == 10, 255, ids))


@pytest.mark.parametrize('form', FORMS)
def test_float16_agrees_with_float32(form: str) -> None:
    checkpoint = checkpoint_of(calibrated('lite0-refined'))
    half = dataclasses.replace(FORMS[form], float_type='float16')
    exact, ours = (run_logits(checkpoint, f, FRAMES) for f in (FORMS[form], half))
    assert np.isfinite(ours).all()
    assert np.abs(ours - exact).max() <= 0.05 * exact.std()
    graphs = (
        build_graph(checkpoint, (128, 192), batch=2, form=form, precision=precision)
        for precision in ('f32', 'f16')
    )
    (ids, _), (half_ids, _) = (run_model(graph, FRAMES) for graph in graphs)
    assert (ids == half_ids).mean() >= 0.99


def test_weight_beyond_float16_is_refused_with_its_name() -> None:
    model = build_model('lite0').eval()
    with torch.no_grad():
        model.backbone.conv_head.weight[0] = 1e6
    with pytest.raises(EngineError, match=r'conv_head.weight holds 1e\+06, beyond what float16'):
        build_graph(checkpoint_of(model), (128, 192), precision='f16')


@pytest.mark.parametrize('number', [float('nan'), float('-inf')])
def test_weight_that_is_no_number_is_refused_with_its_name(number: float) -> None:
    model = build_model('lite0').eval()
    with torch.no_grad():
        model.backbone.conv_head.weight[0] = number
    with pytest.raises(EngineError, match=r'conv_head.weight holds (nan|inf): the checkpoint is'):
        build_graph(checkpoint_of(model), (128, 192))


def test_network_that_cannot_be_deployed_names_those_that_can() -> None:
    checkpoint = checkpoint_of(build_model('lite0'))
    backbone = dataclasses.replace(checkpoint.config.backbone, name='mobilenetv3_large_100')
    other = dataclasses.replace(
        checkpoint, config=dataclasses.replace(checkpoint.config, backbone=backbone)
    )
    with pytest.raises(ConfigError, match=r"'mobilenetv3_large_100' cannot be deployed; known"):
        build_graph(other, (128, 192))


def test_size_that_does_not_fit_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'130 x 192 px must be multiples of 64 px'):
        build_graph(checkpoint_of(build_model('lite0')), (130, 192))


def test_form_of_ones_own_keeps_its_float_type() -> None:
    own = Form(inverted_residual='products', patches='lines', bands=1, float_type='float16')
    graph = build_graph(checkpoint_of(build_model('lite0')), (128, 192), form=own)
    properties = {item.key: item.value for item in graph.metadata_props}
    assert properties['hyperseg.form'] == 'own'
    assert properties['hyperseg.float_type'] == 'float16'


@pytest.mark.parametrize('options', [{'batch': 0}, {'output_size': (0, 5)}])
def test_nothing_to_compute_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match='must be 1 or more'):
        build_graph(checkpoint_of(build_model('lite0')), (128, 192), **options)


@pytest.mark.parametrize(
    ('preset', 'match'),
    [('lite0-small', r'unexpected'), ('lite1', r'blocks.1.2.conv_pw.weight is missing')],
)
def test_tensors_of_another_network_are_refused(preset: str, match: str) -> None:
    checkpoint = checkpoint_of(build_model('lite0'))
    other = dataclasses.replace(checkpoint, config=build_model(preset).config)
    with pytest.raises(CheckpointError, match=match):
        build_graph(other, (128, 192))


def test_same_checkpoint_gives_the_same_bytes() -> None:
    checkpoint = checkpoint_of(build_model('lite0').eval())
    first, second = (
        build_graph(checkpoint, (128, 192)).SerializeToString(deterministic=True) for _ in '12'
    )
    assert first == second


def test_labels_of_a_shipped_set_are_in_the_metadata() -> None:
    checkpoint = Checkpoint.of_model(build_model('lite0'), load_labels('camvid'), digest='abc')
    graph = build_graph(checkpoint, (128, 192), form='tensorrt', precision='f16')
    properties = {item.key: item.value for item in graph.metadata_props}
    assert properties['hyperseg.digest'] == 'abc'
    assert properties['hyperseg.form'] == 'tensorrt'
    assert properties['hyperseg.float_type'] == 'float16'
    assert '"sky"' in properties['hyperseg.labels']
