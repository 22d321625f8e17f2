# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The file of a checkpoint: safetensors with a header that is signed by a digest."""

from collections.abc import Mapping
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import safe_open
from safetensors.numpy import save

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import shortened
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.stored_frames import PREFIX

FORMAT_VERSION = 2
_READABLE_VERSIONS = ('1', '2')
_FORMAT = 'hyperseg-checkpoint'
JSON_KEYS = ('model', 'labels', 'preprocessing', 'provenance', 'scores')
"""Texts of the header that hold JSON."""


def write_checkpoint_file(
    path: Path, state: Mapping[str, NDArray[Any]], described: Mapping[str, Any]
) -> None:
    """Write a checkpoint, at once or not at all.

    Args:
        path: Where to.
        state: Tensors by name, those of the stored frames among them.
        described: What goes into the header, by `JSON_KEYS`.
    """
    metadata = {'format': _FORMAT, 'format_version': str(FORMAT_VERSION)}
    metadata |= {key: json.dumps(value, sort_keys=True) for key, value in described.items()}
    metadata['digest'] = digest(state, metadata)
    write_atomically(path, save(dict(state), metadata))


def digest(state: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 over metadata and tensors, hexadecimal."""
    hasher = hashlib.sha256()
    for key in sorted(set(metadata) - {'digest'}):
        hasher.update(f'{key}={metadata[key]}\n'.encode())
    for key in sorted(state):
        array = np.ascontiguousarray(state[key])
        hasher.update(f'{key}:torch.{array.dtype}:{state[key].shape}\n'.encode())
        hasher.update(array.data)
    return hasher.hexdigest()


def read_checkpoint_file(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Read metadata and tensors.

    Raises:
        CheckpointError: If they are not those of an undamaged checkpoint.
    """
    try:
        with safe_open(path, framework='np') as file:
            metadata = dict(file.metadata() or {})
            _check_header(path, metadata)
            kinds = {key: file.get_slice(key).get_dtype() for key in file.keys()}
            types = {
                kind
                for key, kind in kinds.items()
                if kind not in ({'U8'} if key.startswith(PREFIX) else {'F32', 'F16'})
            }
            if types:
                msg = (
                    f'{path} holds tensors of type {", ".join(sorted(types))}, expected F32 or '
                    f'F16; save it anew with `save_checkpoint`.'
                )
                raise CheckpointError(msg)
            state = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError) as err:
        msg = (
            f'{path} is truncated or no safetensors file ({shortened(str(err), 120)}). Copy it '
            f'again; a published .pth needs `hyperseg import-published` first.'
        )
        raise CheckpointError(msg) from err
    if digest(state, metadata) != metadata['digest']:
        msg = (
            f'{path} was changed after it was saved: its content does not match its digest. Copy '
            f'it again from where it came.'
        )
        raise CheckpointError(msg)
    return metadata, state


def _check_header(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get('format') != _FORMAT:
        msg = (
            f'{path} is a safetensors file, but no hyperseg checkpoint. Published weights need '
            f'`hyperseg import-published` first.'
        )
        raise CheckpointError(msg)
    version = metadata.get('format_version')
    if version not in _READABLE_VERSIONS:
        msg = (
            f'{path} has format version {version!s:.20}, but this release reads '
            f'{" and ".join(_READABLE_VERSIONS)}; install the release of hyperseg_ros that wrote '
            f'it.'
        )
        raise CheckpointError(msg)
    missing = [key for key in (*JSON_KEYS, 'digest') if key not in metadata]
    if missing:
        msg = f'{path} lacks the metadata {", ".join(missing)}; export it again.'
        raise CheckpointError(msg)
