# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One training step of a preset, beside the same step with the definitions written plainly.

Plainly: `plain.PlainHyperSeg` (every dynamic convolution a grouped one with computed kernels), a
loss that loops over the images and sorts all their pixels, contiguous layout. Both steps start
from the same weights and batch; their losses must agree before anything is timed, and their steps
take turns, so that a busy machine slows both.
"""

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import statistics
import time

from plain import PlainHyperSeg
import torch
from torch import Tensor
from torch.nn import functional

from hyperseg_core import build_model
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.pixels import normalise
from hyperseg_core.process_memory import keep_freed_memory
from hyperseg_core.training.losses import bootstrapped_cross_entropy


def plain_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the bootstrapped cross-entropy as published: image by image, all sorted."""
    means = []
    for image, truth in zip(logits, labels, strict=True):
        pixels = functional.cross_entropy(
            image[None], truth[None], ignore_index=255, reduction='none'
        ).flatten()
        ordered = pixels.sort(descending=True).values
        above = ordered[ordered > 0.3]
        means.append(above.mean() if len(above) >= 4096 else ordered[:4096].mean())
    return torch.stack(means).mean()


def build_step(model: HyperSeg, loss_of: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a whole training step: gradients, clipping, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    return step


def check_agreement(
    ours: HyperSeg,
    our_loss: Callable[[], Tensor],
    other: HyperSeg,
    their_loss: Callable[[], Tensor],
) -> None:
    """Stop unless both compute the same loss; without dropout, which draws in memory order."""
    ours.eval()
    other.eval()
    with torch.no_grad():
        pair = (float(our_loss()), float(their_loss()))
    if abs(pair[0] - pair[1]) > 1e-4 * pair[1]:
        raise SystemExit(f'The two steps do not compute the same loss: {pair[0]} and {pair[1]}.')
    ours.train()
    other.train()


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--preset', default='camvid-s')
    parser.add_argument('--size', type=int, nargs=2, default=(576, 576), help='Crop [px].')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--steps', type=int, default=7)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    ours = build_model(options.preset).train()
    other = build_model(options.preset).train()
    other.load_state_dict(ours.state_dict())
    plain = PlainHyperSeg(other)
    coarse = torch.rand((options.batch, 3, options.size[0] // 16, options.size[1] // 16))
    frames = 255 * functional.interpolate(coarse, tuple(options.size), mode='bilinear')
    labels = (coarse[:, :1] * ours.config.num_classes).byte()
    labels = functional.interpolate(labels, tuple(options.size))[:, 0].long()
    ours.to(memory_format=torch.channels_last)

    def our_loss() -> Tensor:
        images = normalise(frames, ours.config).contiguous(memory_format=torch.channels_last)
        return bootstrapped_cross_entropy(ours(images), labels)

    def their_loss() -> Tensor:
        return plain_loss(plain.logits(normalise(frames, other.config)), labels)

    check_agreement(ours, our_loss, other, their_loss)
    steps = {'plain': build_step(other, their_loss), 'ours': build_step(ours, our_loss)}
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.steps):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f'{options.preset}, batch {options.batch}, {options.size[0]} x {options.size[1]} px')
    print('| step | median s | of plain |\n| --- | --- | --- |')
    for name, median in medians.items():
        print(f'| {name} | {median:.2f} | {median / medians["plain"]:.2f} |')
    if options.json is not None:
        report = {'machine': describe_machine(), 'seconds': times}
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == '__main__':
    main()
