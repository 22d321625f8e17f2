# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A reference case: the published code's tensors and what it made of them."""

from dataclasses import dataclass
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reference_tensors import parameter
from reference_tensors import uniform
import torch
from torch import Tensor

DATA = Path(__file__).parents[1] / 'data'


@dataclass(frozen=True)
class ReferenceCase:
    """One published preset."""

    state_dict: dict[str, Tensor]
    images: Tensor
    logits: NDArray[np.float32]
    labels: NDArray[np.uint8]
    num_parameters: int


def load_reference_case(preset: str) -> ReferenceCase:
    """Read a case's files and make the tensors that are not in them."""
    meta = json.loads((DATA / f'{preset}.json').read_text())
    arrays = np.load(DATA / f'{preset}.npz')
    salt = meta['salt']
    state = {}
    for key, shape in meta['state_dict']:
        if f'bn/{key}' in arrays:
            state[key] = torch.from_numpy(arrays[f'bn/{key}'].astype(np.float32))
        elif key.endswith('num_batches_tracked'):
            state[key] = torch.tensor(0)
        else:
            state[key] = torch.from_numpy(parameter(key, tuple(shape), salt))
    images = uniform('image', tuple(meta['input']), salt) * np.float32(meta['input_scale'])
    return ReferenceCase(
        state, torch.from_numpy(images), arrays['logits'], arrays['labels'], meta['parameters']
    )
