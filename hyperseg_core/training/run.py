# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training run: data, callbacks and Lightning's Trainer put together."""

import errno
import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.labels import LabelSet
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.config import load_config
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.hyperseg import build_model
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame
from hyperseg_core.process_memory import keep_freed_memory
from hyperseg_core.training.checks import check_recipe
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.distillation import teachers_of
from hyperseg_core.training.mixture import MixtureDataset
from hyperseg_core.training.mixture import MixtureSampler
from hyperseg_core.training.mixture import shared_unions
from hyperseg_core.training.norm_sync import NormSync
from hyperseg_core.training.task import SegmentationTask

_logger = logging.getLogger(__name__)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ValidationDataset(Dataset[dict[str, Any]]):
    """A split, images brought to the network's size as everywhere else."""

    def __init__(self, data: SegmentationData, config: ModelConfig) -> None:
        """Take a split and the network it is for."""
        self._data, self._config = data, config

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return `image` (3, h, w) uint8 and `labels` (H, W) uint8."""
        image, labels = self._data.load(index)
        size = network_size((image.shape[0], image.shape[1]), self._config)
        resized = torch.from_numpy(resize_frame(image, size).copy()).permute(2, 0, 1)
        return {'image': resized.contiguous(), 'labels': torch.from_numpy(labels.copy())}


class TrainingData(pl.LightningDataModule):
    """The recipe's mixture and validation split, sharded over the processes."""

    def __init__(self, config: TrainConfig, model_config: ModelConfig) -> None:
        """Open the data; wrong files are told before anything is trained."""
        super().__init__()
        self._config, self._model_config = config, model_config
        self.sources = [open_data(source) for source in config.data.train]
        self.val = open_data(config.data.val) if config.data.val is not None else None

    @property
    def labels(self) -> LabelSet:
        """The label set that the sources share.

        Raises:
            ConfigError: If they do not share one.
        """
        first = self.sources[0].labels
        for source in [*self.sources, *([self.val] if self.val is not None else [])]:
            if source.labels.names != first.names:
                msg = (
                    f'The data sets have different classes ({first.name!r} and '
                    f'{source.labels.name!r}); train on sources with the same label set.'
                )
                raise ConfigError(msg)
        return first

    def train_dataloader(self) -> DataLoader[Any]:
        """Return this process's batches."""
        config = self._config
        trainer = self.trainer
        assert trainer is not None
        sampler = MixtureSampler(
            [len(source) for source in self.sources],
            [source.share for source in config.data.train],
            images_per_epoch=config.trainer.images_per_epoch,
            seed=config.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        dataset = MixtureDataset(
            self.sources,
            config.augment,
            config.seed,
            base_sizes=[source.base_size for source in config.data.train],
        )
        return DataLoader(
            dataset,
            batch_size=config.trainer.batch_size,
            sampler=sampler,  # type: ignore[arg-type]
            num_workers=config.trainer.num_workers,
            pin_memory=torch.cuda.is_available(),
            drop_last=True,
        )

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return the validation images, one by one."""
        if self.val is None:
            return []
        dataset = ValidationDataset(self.val, self._model_config)
        return DataLoader(dataset, batch_size=1, num_workers=self._config.trainer.num_workers)


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Run a recipe and return the path of the folder with its results.

    Args:
        config: The recipe.
        resume: Go on from `last.ckpt` in the run's folder, where there is one.

    Raises:
        ConfigError: If the recipe cannot work.
        InputError: If data are not as they should be, the loss is not finite, or there is no room
            for a checkpoint; the one before it is then whole.
    """
    keep_freed_memory()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    output = Path(config.output)
    num_outputs, data, model_config = _prepare(config)
    model = build_model(
        model_config, num_classes=num_outputs, pretrained_backbone=config.model.pretrained_backbone
    )
    if config.model.initial_weights is not None:
        load_initial_weights(model, config.model.initial_weights)
    _, unions = shared_unions([source.labels for source in data.sources])
    task = SegmentationTask(
        model, config, data.labels, torch.from_numpy(unions) if len(unions) else None,
        teachers_of(config.distill, model_config, data.labels),
    )  # fmt: skip
    if config.trainer.channels_last:
        task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = build_trainer(config, output)
    last = output / 'last.ckpt'
    start = last if resume and last.is_file() else None
    if resume and start is None:
        _logger.warning('Nothing to resume: %s is not there; training from the start.', last)
    try:
        trainer.fit(task, data, ckpt_path=start, weights_only=True)
    except OSError as err:
        if err.errno not in _NO_ROOM:
            raise
        msg = (
            f'{output} has no room for a checkpoint of epoch {trainer.current_epoch} '
            f'({err.strerror}); what was saved before is whole. Make room, then go on with '
            f'`--resume`.'
        )
        raise InputError(msg) from err
    return output


def load_initial_weights(model: HyperSeg, checkpoint: str) -> None:
    """Start a network from another's weights; a shallower one takes those of its own blocks.

    A refinement that the other network lacks starts untrained, and then adds nothing.

    Raises:
        ConfigError: If the two are not the same network otherwise.
    """
    weights = load_checkpoint(checkpoint).model.state_dict()
    refinement = model.decoder.refinement_prefixes
    wanted = [
        (key, value) for key, value in model.state_dict().items()
        if key in weights or not key.startswith(refinement)
    ]  # fmt: skip
    missing = [
        key for key, value in wanted
        if key not in weights or weights[key].shape != value.shape
    ]  # fmt: skip
    if missing:
        msg = (
            f'model.initial_weights: {checkpoint} holds another network than the recipe trains: '
            f'{len(missing)} of {len(wanted)} tensors are not in it or have another shape '
            f'(first: {missing[0]}); name a checkpoint of the same preset and classes.'
        )
        raise ConfigError(msg)
    model.load_state_dict({key: weights[key] for key, _ in wanted}, strict=False)


def _prepare(config: TrainConfig) -> tuple[int, TrainingData, ModelConfig]:
    model_config = load_config(config.model.preset)
    data = TrainingData(config, model_config)
    check_recipe(config, data.labels, data.sources)
    num_outputs = len(data.labels) + int(config.model.void_output)
    model_config = load_config(config.model.preset, num_classes=num_outputs)
    return num_outputs, data, model_config


def build_trainer(config: TrainConfig, output: Path) -> pl.Trainer:
    """Set Lightning's Trainer up for a recipe.

    Raises:
        ConfigError: If Lightning does not know an accelerator, a strategy or devices.
    """
    options = config.trainer
    callbacks: list[Callback] = [
        TQDMProgressBar(refresh_rate=10),
        LearningRateMonitor(),
        ModelCheckpoint(
            output,
            filename='last',
            save_top_k=1,
            enable_version_counter=False,
            monitor=None,
            every_n_epochs=1,
            save_on_train_epoch_end=True,
        ),
    ]
    if config.data.val is not None:
        callbacks.append(
            ModelCheckpoint(
                output,
                filename='best',
                monitor='val/mean_iou',
                mode='max',
                save_top_k=1,
                enable_version_counter=False,
            )
        )
    if options.ema_decay is not None:
        callbacks.append(EMAWeightAveraging(decay=options.ema_decay, use_buffers=True))
    has_gpus = options.accelerator != 'cpu' and torch.cuda.is_available()
    try:
        return pl.Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            num_nodes=options.num_nodes,
            strategy=options.strategy,
            precision=options.precision,
            # Lightning applies it where several processes train; CPUs have no such norms.
            plugins=[NormSync()] if has_gpus else None,
            max_epochs=options.epochs,
            gradient_clip_val=options.gradient_clip,
            check_val_every_n_epoch=options.validate_every,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            logger=TensorBoardLogger(output, name='', version=''),
            log_every_n_steps=10,
            callbacks=callbacks,
        )
    except (TypeError, ValueError, RuntimeError, MisconfigurationException) as err:
        # Accelerators, strategies and devices are Lightning's; so are its words about them.
        msg = f'Lightning refuses what the recipe says of its trainer: {err!s:.300}'
        raise ConfigError(msg) from err
