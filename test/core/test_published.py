# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from reference_case import load_reference_case
import torch

from hyperseg_core.published import import_published
from hyperseg_core.published import PUBLISHED_PRESETS


@pytest.mark.parametrize('preset', PUBLISHED_PRESETS)
def test_reference_case_agrees(preset: str) -> None:
    case = load_reference_case(preset)
    model = import_published(case.state_dict)
    assert model.config.name == preset
    assert sum(p.numel() for p in model.parameters()) == case.num_parameters
    with torch.inference_mode():
        logits = model(case.images)
        fused = model.fuse()(case.images)
    error = (logits[..., ::2, ::2] - torch.from_numpy(case.logits)).abs().max().item()
    print(preset, error / case.logits.std(), (logits.argmax(1).numpy() == case.labels).mean())
    assert error <= 1e-3 * case.logits.std()
    assert (logits.argmax(1).numpy() == case.labels).mean() >= 0.999
    print((fused - logits).abs().max().item() / logits.std().item())
    assert (fused - logits).abs().max() <= 1e-4 * logits.std()
