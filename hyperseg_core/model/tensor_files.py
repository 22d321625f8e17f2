# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading tensors from files without running code that files carry."""

from collections.abc import Mapping
from pathlib import Path
import pickle
import re
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file
import torch
from torch import Tensor

from hyperseg_core.errors import CheckpointError
from hyperseg_core.model.pickle_scan import check_torch_file


def _numpy_scalars() -> list[Any]:
    """Return what training states of the published code hold beside tensors and plain data."""
    names = ('Float64DType', 'Float32DType', 'Int64DType')
    # `scalar` is named by its old path in files that NumPy 1 wrote.
    scalar = np.float64(0).__reduce__()[0]
    return [
        (scalar, 'numpy.core.multiarray.scalar'),
        (scalar, 'numpy._core.multiarray.scalar'),
        np.dtype,
        *(getattr(np.dtypes, name) for name in names),
    ]


def read_pickle(path: Path) -> Any:
    """Read a `torch.save` file that holds only tensors, plain data and NumPy scalars.

    Raises:
        CheckpointError: If it cannot be read, or asks for anything else.
        FileNotFoundError: If there is no such file.
    """
    if not path.is_file():
        msg = f'No weights file at {path}.'
        raise FileNotFoundError(msg)
    check_torch_file(path)
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as err:
        # torch's message names what the file asked for, between much advice to load it anyway.
        wanted = re.search(r'GLOBAL ([\w.]+)', str(err))
        asked = f' (it asks for {wanted[1]})' if wanted else ''
        msg = (
            f'{path} is refused: it is damaged or holds more than tensors, plain data and NumPy '
            f'scalars{asked}. Loading never runs code from a file; save its state_dict alone.'
        )
        raise CheckpointError(msg) from err
    except Exception as err:  # damaged files make torch raise what it likes, with much advice
        reason = ' '.join(str(err).split())[:120]
        msg = (
            f'{path} is not a readable torch file ({type(err).__name__}: {reason}); download or '
            f'copy it again.'
        )
        raise CheckpointError(msg) from err


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a flat mapping of names to tensors from a .safetensors or `torch.save` file.

    Raises:
        CheckpointError: If it cannot be read or is no such mapping.
        FileNotFoundError: If there is no such file.
    """
    if path.suffix == '.safetensors':
        try:
            return load_file(path)
        except SafetensorError as err:
            msg = f'{path} is not a readable safetensors file ({err}); copy it again.'
            raise CheckpointError(msg) from err
    data = read_pickle(path)
    if isinstance(data, Mapping) and isinstance(data.get('state_dict'), Mapping):
        data = data['state_dict']
    if not isinstance(data, Mapping) or not all(isinstance(v, Tensor) for v in data.values()):
        msg = f'{path} holds no state dict, but {type(data).__name__}; save a state_dict.'
        raise CheckpointError(msg)
    return dict(data)
