# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network's tensors as NumPy arrays, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
import torch

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import shortened
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.hyperseg import build_model

Arrays = dict[str, NDArray[Any]]
_BOOKKEEPING = 'num_batches_tracked'


def arrays_of(model: HyperSeg, *, half: bool = False) -> Arrays:
    """Return a network's tensors by name, as a checkpoint holds them.

    Raises:
        ConfigError: If the network was fused.
    """
    arrays: Arrays = {
        key: _finite(key, value.detach().cpu().contiguous().numpy())
        for key, value in model.state_dict().items()
        if not key.endswith(_BOOKKEEPING)
    }
    if 'backbone.bn1.weight' not in arrays:
        msg = 'The network was fused, which cannot be undone; save it before `fuse()`.'
        raise ConfigError(msg)
    if half:
        # Statistics stay: variances beyond 65,504 are infinite in half precision.
        arrays = {
            key: value if '.running_' in key else value.astype(np.float16)
            for key, value in arrays.items()
        }
    return arrays


def _finite(key: str, value: NDArray[Any]) -> NDArray[Any]:
    """Bring infinite variances, as release 0.1 wrote them, to the largest number there is."""
    return np.minimum(value, np.finfo(value.dtype).max) if key.endswith('running_var') else value


def model_of(config: ModelConfig, arrays: Mapping[str, NDArray[Any]], *, origin: str) -> HyperSeg:
    """Build a network, in evaluation mode, with given tensors.

    Args:
        config: What it is made of.
        arrays: Its tensors by name.
        origin: Where they come from, for messages.

    Raises:
        CheckpointError: If they do not fit.
    """
    try:
        model = build_model(config).eval()
    except ConfigError as err:
        msg = f'{origin} describes a network that cannot be built: {shortened(str(err), 200)}'
        raise CheckpointError(msg) from err
    own = model.state_dict()
    shapes = {k: tuple(v.shape) for k, v in own.items() if not k.endswith(_BOOKKEEPING)}
    _check_fit(origin, shapes, arrays)
    for key, value in arrays.items():
        own[key].copy_(torch.from_numpy(value))
    return model


def _check_fit(
    origin: str, shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, NDArray[Any]]
) -> None:
    missing, unexpected = sorted(set(shapes) - set(arrays)), sorted(set(arrays) - set(shapes))
    if missing or unexpected:
        msg = (
            f'{origin} does not fit the network that it describes: {len(missing)} missing '
            f'{missing[:5]}, {len(unexpected)} unexpected '
            f'{[shortened(key, 60) for key in unexpected[:5]]}. Export it again.'
        )
        raise CheckpointError(msg)
    for key, shape in shapes.items():
        if shape != arrays[key].shape:
            msg = (
                f'{origin}: {key} has shape {arrays[key].shape}, but the network that it '
                f'describes needs {shape}. Export it again.'
            )
            raise CheckpointError(msg)
