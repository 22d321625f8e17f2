# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is trained, without the machine it is trained on: loss, optimiser, schedule, scores."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
import torch
from torch import Tensor
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchmetrics.classification import MulticlassConfusionMatrix

from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelSet
from hyperseg_core.metrics import Scores
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.pixels import logits_to_labels
from hyperseg_core.model.pixels import normalise
from hyperseg_core.preprocessing import resize_frame
from hyperseg_core.render import overlay
from hyperseg_core.training import losses
from hyperseg_core.training.config import ModelChoice
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.distillation import Teachers
from hyperseg_core.training.distillation import divergence

_SHOWN = 4
"""Validation images that TensorBoard shows."""


class SegmentationTask(pl.LightningModule):
    """Training of one network by one recipe."""

    def __init__(
        self,
        model: HyperSeg,
        config: TrainConfig,
        labels: LabelSet,
        unions: Tensor | None = None,
        teachers: Teachers | None = None,
    ) -> None:
        """Take the network, the recipe and what the ids mean.

        Args:
            model: The network.
            config: The recipe.
            labels: What the ids mean.
            unions: What the ids after the classes' stand for, (K, N) bool; None: there are none.
            teachers: Whose answers are learnt, too; no part of what is saved.
        """
        super().__init__()
        self.model = model
        self.config = config
        self.labels = labels
        weights = config.loss.class_weights
        self.register_buffer(
            'class_weights', torch.tensor(weights) if weights else None, persistent=False
        )
        self.register_buffer('unions', unions, persistent=False)
        self._teachers = teachers
        # One class more: void outputs count as misses, here as everywhere.
        self.confusion = MulticlassConfusionMatrix(len(labels) + 1, ignore_index=IGNORE_ID)
        freeze(model, config.model)

    def train(self, mode: bool = True) -> 'SegmentationTask':
        """Switch the mode; frozen norms stay in evaluation mode."""
        super().train(mode)
        if mode and self.config.model.freeze_backbone_norms:
            for module in self.model.backbone.modules():
                # On several GPUs they are SyncBatchNorm, which is no BatchNorm2d.
                if isinstance(module, _BatchNorm) and not _is_new(module, self.model):
                    module.eval()
        return self

    def on_fit_start(self) -> None:
        """Bring the teachers to the device."""
        if self._teachers is not None:
            self._teachers.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Put the modules in their modes: Lightning keeps what it finds, ours are the recipe's."""
        self.train()

    def on_train_batch_start(self, batch: dict[str, Any], batch_index: int) -> None:
        """Seed what the network draws, so that a resumed step is the step it would have been."""
        number = self.config.seed * 1_000_003 + self.global_step
        torch.manual_seed(number * 4096 + self.global_rank)

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """Return the loss of a batch."""
        images = normalise(batch['image'], self.model.config)
        if self.config.trainer.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        logits = self.model(images)
        if batch_index == 0:
            self._show('train/first_of_epoch', batch, logits.argmax(1).byte())
        loss = self._loss(logits.float(), batch['labels'].long())
        if self._teachers is not None and self.config.distill is not None:
            distill = self.config.distill
            learnt = divergence(
                logits.float(), self._teachers(images), temperature=distill.temperature
            )
            self.log('train/divergence', learnt, batch_size=len(images))
            loss = loss + distill.weight * learnt
        if not bool(torch.isfinite(loss)):
            msg = (
                f'The loss is {loss.item()} at step {self.global_step}; the batch was: '
                f'{"; ".join(batch["name"])}. The checkpoint `last` is from before it: lower '
                f'optimizer.learning_rate or set trainer.gradient_clip, then resume.'
            )
            raise InputError(msg)
        self.log('train/loss', loss, prog_bar=True, batch_size=len(images))
        return loss

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        config = self.config.loss
        if config.kind == 'bootstrapped':
            loss = losses.bootstrapped_cross_entropy(
                logits,
                labels,
                threshold=config.threshold,
                min_pixels=config.min_pixels,
                class_weights=self.class_weights,  # type: ignore[arg-type]
                unions=self.unions,  # type: ignore[arg-type]
            )
        else:
            loss = losses.cross_entropy(
                logits,
                labels,
                class_weights=self.class_weights,  # type: ignore[arg-type]
                unions=self.unions,  # type: ignore[arg-type]
            )
        if config.jaccard:
            loss = loss + config.jaccard * losses.soft_jaccard(logits, labels)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        """Count one image's pixels; images arrive at the network's size, labels at their own."""
        images = normalise(batch['image'], self.model.config)
        logits = self.model(images).float()
        labels = batch['labels']
        prediction = logits_to_labels(logits, (labels.shape[-2], labels.shape[-1]))
        self.confusion.update(prediction, labels.long())
        if batch_index < _SHOWN:
            self._show(f'val/{batch_index}', batch, prediction.byte())

    def _show(self, name: str, batch: dict[str, Any], prediction: Tensor) -> None:
        """Send TensorBoard the first image of a batch under its true and its predicted ids."""
        if not isinstance(self.logger, TensorBoardLogger):
            return
        image = batch['image'][0].permute(1, 2, 0).cpu().numpy()
        pictures = []
        for ids in (batch['labels'][0], prediction[0]):
            map_ids = ids.byte().cpu().numpy()
            resized = resize_frame(image, (map_ids.shape[0], map_ids.shape[1]))
            pictures.append(overlay(resized, map_ids, self.labels))
        self.logger.experiment.add_image(
            name, np.hstack(pictures), self.global_step, dataformats='HWC'
        )

    def on_validation_epoch_end(self) -> None:
        """Log the scores."""
        scores = Scores.from_confusion(self.confusion.compute().cpu().numpy()[: len(self.labels)])
        self.confusion.reset()
        self.log('val/mean_iou', scores.mean_iou, prog_bar=True)
        self.log('val/pixel_accuracy', scores.pixel_accuracy)
        for name, iou in zip(self.labels.names, scores.per_class_iou, strict=True):
            self.log(f'val_iou/{name}', iou)

    def configure_optimizers(self) -> Any:
        """Create the optimiser with its groups, and the schedule."""
        config = self.config.optimizer
        groups = parameter_groups(self.model, self.config)
        kinds = {'adam': torch.optim.Adam, 'adamw': torch.optim.AdamW}
        optimizer = kinds[config.kind](groups, lr=config.learning_rate, betas=config.betas)
        total = int(self.trainer.estimated_stepping_batches)
        steps_per_epoch = max(1, total // max(1, self.config.trainer.epochs))
        schedule = self.config.schedule

        def factor(step: int) -> float:
            if step < schedule.warmup_steps:
                return (step + 1) / schedule.warmup_steps
            done = step // steps_per_epoch * steps_per_epoch if schedule.per_epoch else step
            return float(max(1 - done / total, 0.0) ** schedule.power)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': scheduler, 'interval': 'step'},
        }


def _is_new(module: nn.Module, model: HyperSeg) -> bool:
    """Whether a backbone module has no ImageNet weights: the tap reductions."""
    return any(module is other for other in model.backbone.tap_reductions.modules())


def freeze(model: HyperSeg, choice: ModelChoice) -> None:
    """Stop training the stem and the first stages that the recipe names."""
    if choice.freeze_backbone_stages:
        backbone = model.backbone
        stages = list(backbone.blocks.children())[: choice.freeze_backbone_stages]
        for module in (backbone.conv_stem, backbone.bn1, *stages):
            for parameter in module.parameters():
                parameter.requires_grad_(requires_grad=False)


def parameter_groups(model: HyperSeg, config: TrainConfig) -> list[dict[str, Any]]:
    """Split the trained parameters by learning rate (backbone or not) and weight decay."""
    optimizer = config.optimizer
    backbone_rate = optimizer.backbone_learning_rate or optimizer.learning_rate
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_trunk = name.startswith('backbone.') and 'tap_reductions' not in name
        rate = backbone_rate if is_trunk else optimizer.learning_rate
        decay = optimizer.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {'params': parameters, 'lr': rate, 'weight_decay': decay}
        for (rate, decay), parameters in groups.items()
    ]
