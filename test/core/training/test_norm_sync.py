# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hyperseg_core import build_model
from hyperseg_core import load_labels
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.norm_sync import NormSync
from hyperseg_core.training.task import SegmentationTask

pytest.importorskip('pytorch_lightning')


@pytest.fixture
def task() -> SegmentationTask:
    torch.manual_seed(0)
    data = {
        'model': {'preset': 'lite0', 'freeze_backbone_norms': True},
        'data': {'train': [{'kind': 'drive', 'split': 'train'}]},
        'output': 'nowhere',
    }
    config = build_dataclass(TrainConfig, data, origin='test')
    return SegmentationTask(build_model('lite0', num_classes=11), config, load_labels('camvid'))


def norms(module: nn.Module) -> list[_BatchNorm]:
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]


def test_synchronised_norms_keep_the_network_and_stay_frozen(task: SegmentationTask) -> None:
    images = torch.randn(1, 3, 128, 192)
    expected = task.model.eval()(images)
    synced = NormSync().apply(task)
    assert synced is task
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms(task))
    # In evaluation mode the layers run on a CPU, too: the activations are still there.
    assert torch.equal(task.model.eval()(images), expected)
    task.train()
    trunk = [norm for norm in norms(task.model.backbone) if not _is_reduction(norm, task)]
    assert len(trunk) > 30
    assert not any(norm.training for norm in trunk)
    assert all(norm.training for norm in norms(task.model.decoder))


def test_reverting_brings_back_the_norms_with_what_was_learnt(task: SegmentationTask) -> None:
    kinds = [type(norm) for norm in norms(task)]
    sync = NormSync()
    sync.apply(task)
    task.to(torch.float64)  # buffers are replaced, as by a move to a GPU
    with torch.no_grad():
        for norm in norms(task):
            norm.weight += 1
            norm.running_mean += 2
    learnt = {name: value.clone() for name, value in task.state_dict().items()}
    sync.revert(task)
    assert [type(norm) for norm in norms(task)] == kinds
    found = task.state_dict()
    assert found.keys() == learnt.keys()
    assert all(torch.equal(found[name], value) for name, value in learnt.items())


def _is_reduction(norm: nn.Module, task: SegmentationTask) -> bool:
    return any(norm is part for part in task.model.backbone.tap_reductions.modules())
