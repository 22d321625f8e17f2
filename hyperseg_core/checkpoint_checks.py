# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what stands in a checkpoint can be meant: its JSON, its numbers, its preprocessing."""

from collections.abc import Mapping
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import CheckpointError
from hyperseg_core.model.config import ModelConfig

_MAX_JSON = 4 << 20


def parse_json(text: str, key: str) -> Any:
    """Read one of the header's texts: finite numbers only.

    Raises:
        CheckpointError: If it is no JSON, too long or too deep.
    """
    if len(text) > _MAX_JSON:
        msg = f'metadata {key!r} has {len(text)} characters, at most {_MAX_JSON} are read.'
        raise CheckpointError(msg)
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as err:
        reason = 'nested too deep' if isinstance(err, RecursionError) else str(err)
        msg = f'metadata {key!r} is no JSON that can be read ({reason:.120}); export it again.'
        raise CheckpointError(msg) from err


def _refuse(constant: str) -> Any:
    msg = f'{constant} is no number'
    raise ValueError(msg)


def check_preprocessing(described: object, config: ModelConfig) -> None:
    """Check that the preprocessing is what the network was configured with.

    Raises:
        CheckpointError: If the two differ.
    """
    own = {'colour_order': 'RGB', 'mean': config.mean, 'std': config.std, 'size': config.size}
    if not isinstance(described, Mapping):
        msg = f'metadata preprocessing is {type(described).__name__}, expected a mapping.'
        raise CheckpointError(msg)
    for key, value in own.items():
        found = described.get(key)
        if (tuple(found) if isinstance(found, list) else found) != value:
            msg = (
                f'preprocessing says that {key} is {found!r:.80}, but the model {value!r}; one of '
                f'them is wrong. Export it again.'
            )
            raise CheckpointError(msg)


def check_remarks(provenance: object, scores: object) -> None:
    """Check that what is told beside the network are mappings.

    Raises:
        CheckpointError: If not.
    """
    for key, value in (('provenance', provenance), ('scores', scores)):
        if not isinstance(value, Mapping):
            msg = f'metadata {key} is {type(value).__name__}, expected a mapping; export it again.'
            raise CheckpointError(msg)


def check_values(state: Mapping[str, NDArray[Any]]) -> None:
    """Check that weights are finite and variances not negative.

    Raises:
        CheckpointError: For the first tensor that is not.
    """
    for key, tensor in state.items():
        is_variance = key.endswith('running_var')
        if is_variance and (tensor < 0).any():
            msg = f'{key:.120} holds negative variances; export it again.'
            raise CheckpointError(msg)
        # Release 0.1 wrote variances as float16, too, where large ones are infinite.
        is_old_half = is_variance and tensor.dtype == np.float16
        found = tensor[~np.isposinf(tensor)] if is_old_half else tensor
        if found.dtype.kind == 'f' and not np.isfinite(found).all():
            msg = f'{key:.120} holds NaN or infinite numbers; train or export it again.'
            raise CheckpointError(msg)
