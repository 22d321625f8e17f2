# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: one safetensors file that says everything about the network in it.

The header holds, as JSON strings: format version, model configuration, labels with colours,
preprocessing, provenance and scores, and a digest over all of it and the tensors.
"""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
import warnings
import weakref

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import safe_open
from safetensors.numpy import save

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.labels import LabelSet
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.config import config_from_dict
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names

if TYPE_CHECKING:  # what a robot needs of a checkpoint, with its engine built, is no PyTorch
    from hyperseg_core.model.hyperseg import HyperSeg

FORMAT_VERSION = 1
_FORMAT = 'hyperseg-checkpoint'
_JSON_KEYS = ('model', 'labels', 'preprocessing', 'provenance', 'scores')


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A network and what is known about it."""

    config: ModelConfig
    label_set: LabelSet
    provenance: Mapping[str, Any]
    """Source, licence, data, recipe, revision, date."""
    scores: Mapping[str, Any]
    """Scores by the split they were measured on."""
    digest: str
    """SHA-256 over metadata and tensors, hexadecimal."""
    network: Callable[[], 'HyperSeg']
    """Gives the network; `model` calls it."""
    tensors: Callable[[], dict[str, NDArray[Any]]]
    """Gives the network's tensors by name, without PyTorch."""

    @classmethod
    def of_model(cls, model: 'HyperSeg', labels: LabelSet, *, digest: str) -> 'Checkpoint':
        """Return a checkpoint of a network that no file holds, under a digest of one's own."""
        return cls(
            config=model.config, label_set=labels, provenance={}, scores={}, digest=digest,
            network=lambda: model, tensors=lambda: state_arrays(model),
        )  # fmt: skip

    @property
    def labels(self) -> LabelSet:
        """The label set, under its old name."""
        warnings.warn('Use `label_set`.', DeprecationWarning, stacklevel=2)
        return self.label_set

    @property
    def model(self) -> 'HyperSeg':
        """The network: in evaluation mode, float32, on the CPU.

        That of a file is read when it is asked for and goes when nobody uses it any more: an
        engine that comes from its cache does not need it.

        Raises:
            CheckpointError: If the file is gone, no longer what it was, or does not fit the
                network that it describes.
        """
        return self.network()

    @property
    def void_outputs(self) -> int:
        """Number of outputs beyond the label set: void, published as unlabelled."""
        return self.config.num_classes - len(self.label_set)


def check_labels(num_classes: int, labels: LabelSet) -> None:
    """Check that a network's outputs are the label set's classes, or those and void.

    Raises:
        ConfigError: If not.
    """
    if num_classes - len(labels) not in {0, 1}:
        msg = (
            f'The network has {num_classes} classes but label set {labels.name!r} has '
            f'{len(labels)}; use a label set with {num_classes}, or build the network with '
            f'`num_classes={len(labels)}`.'
        )
        raise ConfigError(msg)


def save_checkpoint(
    path: str | Path,
    model: 'HyperSeg',
    labels: LabelSet,
    *,
    provenance: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """Write a checkpoint, at once or not at all.

    Args:
        path: Where to, ending in .safetensors.
        model: The network, not fused.
        labels: What its outputs mean.
        provenance: Source, licence, data, recipe, revision, date: anything that JSON can hold.
        scores: Scores by split.
        half: Store float16 instead of float32.

    Raises:
        ConfigError: If labels and network do not fit, or the network was fused.
    """
    path = Path(path)
    check_labels(model.config.num_classes, labels)
    state = state_arrays(model)
    if 'backbone.bn1.weight' not in state:
        msg = 'The network was fused, which cannot be undone; save it before `fuse()`.'
        raise ConfigError(msg)
    if half:
        state = {key: value.astype(np.float16) for key, value in state.items()}
    config = model.config
    described = {
        'model': config.to_dict(),
        'labels': labels.to_dict(),
        'preprocessing': {
            'colour_order': 'RGB',
            'mean': config.mean,
            'std': config.std,
            'size': config.size,
        },
        'provenance': dict(provenance or {}),
        'scores': dict(scores or {}),
    }
    metadata = {'format': _FORMAT, 'format_version': str(FORMAT_VERSION)}
    metadata |= {key: json.dumps(value, sort_keys=True) for key, value in described.items()}
    metadata['digest'] = digest(state, metadata)
    write_atomically(path, save(state, metadata))
    return path


def state_arrays(model: 'HyperSeg') -> dict[str, NDArray[Any]]:
    """Return a network's tensors by name, as a checkpoint holds them."""
    return {
        key: value.detach().cpu().contiguous().numpy()
        for key, value in model.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it: a full disk leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        with temporary.open('wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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


def checkpoint_path(path_or_name: str | Path) -> Path:
    """Return the file of a shipped checkpoint by name, or the path that was given.

    Raises:
        FileNotFoundError: If there is neither.
    """
    path = Path(path_or_name).expanduser()
    if path.is_file():
        return path
    shipped = resource_names('checkpoints', suffix='.safetensors')
    if str(path_or_name) in shipped:
        return resource('checkpoints', f'{path_or_name}.safetensors')
    msg = (
        f'No checkpoint {str(path_or_name)!r}: neither a file nor one of those shipped '
        f'({", ".join(shipped)}).'
    )
    raise FileNotFoundError(msg)


def load_checkpoint(path_or_name: str | Path = 'default') -> Checkpoint:
    """Read a checkpoint, from its file alone; its network is built when it is asked for.

    Args:
        path_or_name: A file, or the name of a shipped checkpoint: `default` or `fast`.

    Raises:
        CheckpointError: If the file is truncated, foreign, of another version or was changed.
        FileNotFoundError: If there is no such file.
    """
    path = checkpoint_path(path_or_name)
    metadata, _ = _read(path)
    parts = {key: json.loads(metadata[key]) for key in _JSON_KEYS}
    config = config_from_dict(parts['model'], origin=f'{path}, model')
    labels = LabelSet.from_dict(parts['labels'], origin=f'{path}, labels')
    check_labels(config.num_classes, labels)
    return Checkpoint(
        config=config,
        label_set=labels,
        provenance=parts['provenance'],
        scores=parts['scores'],
        digest=metadata['digest'],
        network=_NetworkInFile(path, config, metadata['digest']),
        tensors=functools.partial(_read_unchanged, path, metadata['digest']),
    )


def _read_unchanged(path: Path, file_digest: str) -> dict[str, NDArray[Any]]:
    """Read the tensors of a file that was loaded before.

    Raises:
        CheckpointError: If it is gone or no longer what it was.
    """
    metadata, state = _read(path)
    if metadata['digest'] != file_digest:
        msg = f'{path} was replaced by another checkpoint meanwhile; load it anew.'
        raise CheckpointError(msg)
    return state


class _NetworkInFile:
    """Reads the network again whenever the last one that it gave is gone."""

    def __init__(self, path: Path, config: ModelConfig, file_digest: str) -> None:
        self._path, self._config, self._digest = path, config, file_digest
        self._last: Callable[[], HyperSeg | None] = lambda: None

    def __call__(self) -> 'HyperSeg':
        import torch

        from hyperseg_core.model.hyperseg import build_model

        model = self._last()
        if model is None:
            state = _read_unchanged(self._path, self._digest)
            model = build_model(self._config).eval()
            own = model.state_dict()
            _check_fit(self._path, {k: tuple(v.shape) for k, v in own.items()}, state)
            for key, value in state.items():
                own[key].copy_(torch.from_numpy(value))
            self._last = weakref.ref(model)
        return model


def _read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Read metadata and tensors.

    Raises:
        CheckpointError: If they are not those of an undamaged checkpoint.
    """
    try:
        with safe_open(path, framework='np') as file:
            metadata = dict(file.metadata() or {})
            _check_header(path, metadata)
            types = {file.get_slice(key).get_dtype() for key in file.keys()} - {'F32', 'F16'}
            if types:
                msg = (
                    f'{path} holds tensors of type {", ".join(sorted(types))}, expected F32 or '
                    f'F16; save it anew with `save_checkpoint`.'
                )
                raise CheckpointError(msg)
            state = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError) as err:
        msg = (
            f'{path} is truncated or no safetensors file ({err}). Copy it again; a published '
            f'.pth needs `hyperseg import-published` first.'
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
    if version != str(FORMAT_VERSION):
        msg = (
            f'{path} has format version {version}, but this release reads version '
            f'{FORMAT_VERSION}; install the release of hyperseg_ros that wrote it.'
        )
        raise CheckpointError(msg)
    missing = [key for key in (*_JSON_KEYS, 'digest') if key not in metadata]
    if missing:
        msg = f'{path} lacks the metadata {", ".join(missing)}; export it again.'
        raise CheckpointError(msg)


def _check_fit(
    path: Path, network: Mapping[str, tuple[int, ...]], state: Mapping[str, NDArray[Any]]
) -> None:
    own = {key: shape for key, shape in network.items() if not key.endswith('num_batches_tracked')}
    missing, unexpected = sorted(set(own) - set(state)), sorted(set(state) - set(own))
    if missing or unexpected:
        msg = (
            f'{path} does not fit the network that it describes: {len(missing)} missing '
            f'{missing[:5]}, {len(unexpected)} unexpected {unexpected[:5]}. Export it again.'
        )
        raise CheckpointError(msg)
    for key, shape in own.items():
        if shape != state[key].shape:
            msg = (
                f'{path}: {key} has shape {state[key].shape}, but the network that it describes '
                f'needs {shape}. Export it again.'
            )
            raise CheckpointError(msg)
