# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of EfficientNets against timm, which builds the networks that are trained."""

import dataclasses

import pytest
import torch

from hyperseg_core import ConfigError
from hyperseg_core.model.backbone import Backbone
from hyperseg_core.model.backbone import PaddedConv2d
from hyperseg_core.model.config import BackboneConfig
from hyperseg_core.model.config import load_config
from hyperseg_core.model.efficientnet import describe_efficientnet

NAMES = [
    *(f'tf_efficientnet_b{i}' for i in range(5)), *(f'tf_efficientnet_lite{i}' for i in range(5)),
]  # fmt: skip


def padding_of(conv: PaddedConv2d) -> tuple[int, int]:
    if conv.ends is not None:
        return conv.ends[0], conv.ends[1]
    return conv.padding[0], conv.padding[0]


def check(config: BackboneConfig) -> None:
    with torch.device('meta'):
        network = Backbone(config)
    described = describe_efficientnet(config)
    assert described.stem_channels == network.conv_stem.out_channels
    assert described.stem.padding == padding_of(network.conv_stem)
    assert described.head_channels == network.head_channels
    assert described.tapped_stages == network.tapped_stages
    assert described.tap_channels(config.tap_scales) == network.tap_channels
    assert [len(s) for s in described.stages] == [len(list(s.children())) for s in network.blocks]
    for stage, blocks in zip(described.stages, network.blocks, strict=True):
        for ours, theirs in zip(stage, blocks.children(), strict=True):
            conv = theirs.conv_dw
            assert ours.hidden == conv.out_channels
            assert ours.depthwise.kernel_size == conv.kernel_size[0]
            assert ours.depthwise.stride == conv.stride[0]
            assert ours.depthwise.padding == padding_of(conv)
            last = theirs.conv_pwl if ours.expansion > 1 else theirs.conv_pw
            assert ours.out_channels == last.out_channels
            assert ours.is_residual == theirs.has_skip
            if not described.is_lite:
                assert ours.squeezed == theirs.se.conv_reduce.out_channels


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('nominal_size', [224, 240, 300])
def test_tables_are_timms(name: str, nominal_size: int) -> None:
    check(
        BackboneConfig(name=name, nominal_size=nominal_size, tap_scales=(0.25, 1, 0.166, 0.4, 1))
    )


def test_shallower_network_is_timms() -> None:
    config = load_config('lite0-small').backbone
    assert config.depths is not None
    check(config)


def test_taps_that_do_not_fit_are_refused() -> None:
    config = dataclasses.replace(load_config('lite0').backbone, tap_scales=(1.0, 1.0))
    with pytest.raises(ConfigError, match=r'5 taps but tap_scales has 2 entries'):
        describe_efficientnet(config)
    config = dataclasses.replace(load_config('lite0').backbone, depths=(1, 2, 3, 3, 3, 4, 1))
    with pytest.raises(ConfigError, match=r'as many numbers, each from 1'):
        describe_efficientnet(config)
