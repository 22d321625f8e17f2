# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a training step's time goes, for a recipe: loading, network, loss, optimiser.

Processor seconds, all threads together, as a busy machine stretches the time on the wall. Images
are loaded beside the step, by other processes, so that both compete for the same cores.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
import time

import torch

from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.files.typed_yaml import read_yaml
from hyperseg_core.model.config import load_config
from hyperseg_core.model.hyperseg import build_model
from hyperseg_core.model.pixels import normalise
from hyperseg_core.process_memory import keep_freed_memory
from hyperseg_core.training.config import TrainConfig
from hyperseg_core.training.mixture import MixtureDataset
from hyperseg_core.training.mixture import MixtureSampler
from hyperseg_core.training.run import TrainingData
from hyperseg_core.training.task import SegmentationTask
from hyperseg_core.training.task import parameter_groups


class Meter:
    """Adds up processor seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], object]) -> object:
        """Do something and count it under a name."""
        start = time.process_time()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return result


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('recipe', type=Path)
    parser.add_argument('--steps', type=int, default=10)
    options = parser.parse_args()
    keep_freed_memory()
    config = build_dataclass(TrainConfig, read_yaml(options.recipe), origin=str(options.recipe))
    data = TrainingData(config, load_config(config.model.preset))
    shares = [source.share for source in config.data.train]
    batch = config.trainer.batch_size
    draws = list(
        MixtureSampler(
            [len(source) for source in data.sources], shares,
            images_per_epoch=(options.steps + 1) * batch, seed=config.seed,
        )
    )  # fmt: skip
    base_sizes = [source.base_size for source in config.data.train]
    images = MixtureDataset(data.sources, config.augment, config.seed, base_sizes=base_sizes)
    model_config = load_config(config.model.preset, num_classes=len(data.labels))
    model = build_model(model_config).to(memory_format=torch.channels_last)
    task = SegmentationTask(model, config, data.labels)
    task.train()
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=1e-6)
    meter = Meter()
    for step in range(options.steps + 1):
        if step == 1:
            meter = Meter()  # the first one warms up
        chosen = draws[step * batch : (step + 1) * batch]
        samples = meter.run('loading', lambda chosen=chosen: [images[draw] for draw in chosen])
        frames = torch.stack([sample['image'] for sample in samples])
        labels = torch.stack([sample['labels'] for sample in samples]).long()
        frames = normalise(frames, model_config).contiguous(memory_format=torch.channels_last)
        logits = meter.run('forward', lambda frames=frames: model(frames))
        loss = meter.run('loss', lambda logits=logits, labels=labels: task._loss(logits, labels))
        meter.run('backward', loss.backward)
        meter.run('optimiser', optimizer.step)
        optimizer.zero_grad()
    total = sum(meter.seconds.values())
    print(f'{describe_machine()}; {options.recipe.stem}, {options.steps} steps of {batch}')
    print('| part | processor ms an image | share |\n| --- | --- | --- |')
    for name, seconds in meter.seconds.items():
        print(f'| {name} | {1000 * seconds / options.steps / batch:.1f} | {seconds / total:.0%} |')


if __name__ == '__main__':
    main()
