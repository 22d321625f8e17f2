# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trains a few steps on N processes and writes the mean losses: run by test_training."""

import dataclasses
from pathlib import Path
import sys

import pytorch_lightning as pl
import torch
from torch import nn

from hyperseg_core.labels import load_labels
from hyperseg_core.model.config import load_config
from hyperseg_core.model.hyperseg import build_model
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.run import TrainingData
from hyperseg_core.training.task import SegmentationTask


class _Curve(pl.Callback):
    """Collects the loss, averaged over the processes."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, *_) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002
        mean = trainer.strategy.reduce(outputs['loss'], reduce_op='mean')
        self.losses.append(float(mean))


def main() -> None:
    """Train 4 steps; batch norms are frozen, as gloo cannot synchronise them on CPUs."""
    out, devices, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    from hyperseg_core.files.typed_yaml import build_dataclass

    data = {
        'model': {'preset': 'lite0'},
        'data': {'train': [{'kind': 'drive', 'split': 'train'}]},
        'output': str(out),
        'augment': {'crop': [64, 64], 'base_size': [96, 128]},
        'loss': {'kind': 'cross_entropy'},
        'optimizer': {'learning_rate': 1e-4},
        'trainer': {'epochs': 1, 'images_per_epoch': 16, 'batch_size': batch, 'num_workers': 0},
    }
    config: TrainConfig = build_dataclass(TrainConfig, data, origin='ddp')
    torch.manual_seed(0)
    preset = load_config('lite0', num_classes=11)
    backbone = dataclasses.replace(preset.backbone, drop_path=0.0, dropout=0.0)
    model = build_model(dataclasses.replace(preset, backbone=backbone))
    task = SegmentationTask(model, config, load_labels('camvid'))
    original = task.train

    def train(mode: bool = True) -> SegmentationTask:
        original(mode)
        for module in task.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return task

    task.train = train  # type: ignore[method-assign]
    curve = _Curve()
    trainer = pl.Trainer(
        accelerator='cpu', devices=devices, max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, use_distributed_sampler=False,
        strategy='ddp' if devices > 1 else 'auto', callbacks=[curve], num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(task, TrainingData(config, model.config))
    if trainer.global_rank == 0:
        (out / 'losses.txt').write_text('\n'.join(map(str, curve.losses)))


if __name__ == '__main__':
    main()
