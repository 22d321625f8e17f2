# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration by one temperature: confidence that is as often right as it says.

Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). Dividing all logits by one
number changes no class, and the deployable graph does it without cost.

Shape suffixes used in this file:
    P sampled pixels, N classes.
"""

import math

from rich.progress import track
import torch
from torch import Tensor
from torch.nn import functional

from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.errors import InputError
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.pixels import normalise
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame

_MAX_PIXELS = 2_000_000
"""Pixels that a temperature is fitted on, about: spread over all images."""
_MAX_STEPS = 50
_BOUND = 20
"""Largest temperature that is believed, and one by it the smallest; as in `ModelConfig`."""


def fit_temperature(model: HyperSeg, data: SegmentationData) -> float:
    """Return the temperature under which the labels are likeliest.

    Args:
        model: A trained network in evaluation mode; the temperature it has counts for nothing.
        data: Images that it was not trained on.

    Raises:
        InputError: If no pixel of the data has a class, or the network's answers say nothing
            about them.
    """
    logits_PN, labels_P = _sampled_logits(model, data)
    if not len(labels_P):
        msg = f'None of the {len(data)} images has a labelled pixel; calibrate on others.'
        raise InputError(msg)
    temperature = likeliest_temperature(logits_PN, labels_P)
    if not 1 / _BOUND <= temperature <= _BOUND:
        msg = (
            f'The likeliest temperature is {temperature:.3g}, beyond {1 / _BOUND:g} to '
            f'{_BOUND:g}: this network has not learnt these classes. Train it first.'
        )
        raise InputError(msg)
    return temperature


def likeliest_temperature(logits_PN: Tensor, labels_P: Tensor) -> float:
    """Minimise the cross-entropy over a temperature, of which there is one minimum."""
    logarithm = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([logarithm], max_iter=_MAX_STEPS, line_search_fn='strong_wolfe')

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(logits_PN * torch.exp(-logarithm), labels_P)
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    return math.exp(float(logarithm.detach()))


@torch.no_grad()
def _sampled_logits(model: HyperSeg, data: SegmentationData) -> tuple[Tensor, Tensor]:
    """Answer all images as `Segmenter` does, and keep a grid of pixels that have labels."""
    num_labels = len(data.labels)
    logits, labels = [], []
    share = _MAX_PIXELS / len(data)
    for index in track(range(len(data)), description='calibrating'):
        image, truth = data.load(index)
        size = network_size((image.shape[0], image.shape[1]), model.config)
        frame = torch.from_numpy(resize_frame(image, size).copy()).permute(2, 0, 1)[None]
        coarse = model(normalise(frame, model.config))
        fine = functional.interpolate(coarse, truth.shape, mode='bilinear', align_corners=False)
        step = max(1, math.ceil(math.sqrt(truth.size / share)))
        grid = torch.from_numpy(truth.copy())[::step, ::step]
        is_known = grid < num_labels
        logits.append(fine[0, :, ::step, ::step].permute(1, 2, 0)[is_known])
        labels.append(grid[is_known].long())
    return torch.cat(logits), torch.cat(labels)
