# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: one safetensors file that says everything about the network in it.

The header holds, as JSON strings: format version, model configuration, labels with colours,
preprocessing, provenance and scores, and a digest over all of it and the tensors. Beside the
network's tensors lie the frames that engines are checked with (`stored_frames`); files of format
version 1 have none. Only the network itself, built when it is asked for, needs PyTorch.
"""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
import warnings
import weakref

from numpy.typing import NDArray

from hyperseg_core.checkpoint_checks import check_preprocessing
from hyperseg_core.checkpoint_checks import check_remarks
from hyperseg_core.checkpoint_checks import check_values
from hyperseg_core.checkpoint_checks import parse_json
from hyperseg_core.checkpoint_file import JSON_KEYS
from hyperseg_core.checkpoint_file import read_checkpoint_file
from hyperseg_core.checkpoint_file import write_checkpoint_file
from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import shortened
from hyperseg_core.labels import LabelSet
from hyperseg_core.model.config import ModelConfig
from hyperseg_core.model.config import config_from_dict
from hyperseg_core.model.efficientnet import describe_efficientnet
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names
from hyperseg_core.stored_frames import PREFIX
from hyperseg_core.stored_frames import StoredFrame
from hyperseg_core.stored_frames import answered_frames
from hyperseg_core.stored_frames import decode_frames
from hyperseg_core.stored_frames import encode_frames

if TYPE_CHECKING:  # what a robot needs of a checkpoint, with its engine built, is no PyTorch
    from hyperseg_core.model.hyperseg import HyperSeg

_MAX_MESSAGE = 400


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
    contents: 'Contents'
    """Where the network comes from."""

    @classmethod
    def of_model(cls, model: 'HyperSeg', labels: LabelSet, *, digest: str) -> 'Checkpoint':
        """Return a checkpoint of a network that no file holds, under a digest of one's own."""
        return cls(
            config=model.config, label_set=labels, provenance={}, scores={}, digest=digest,
            contents=_ModelContents(model, labels),
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
        return self.contents.network()

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Read the network's tensors by name, float32 or float16, without PyTorch.

        Raises:
            CheckpointError: If the file is gone or no longer what it was.
        """
        return self.contents.tensors()

    def frames(self) -> tuple[StoredFrame, ...]:
        """Read the frames that engines are checked with; old files have none.

        Raises:
            CheckpointError: If the file is gone, no longer what it was, or damaged.
        """
        return self.contents.frames()

    @property
    def void_outputs(self) -> int:
        """Number of outputs beyond the label set: void, published as unlabelled."""
        return self.config.num_classes - len(self.label_set)


class Contents(Protocol):
    """Gives a checkpoint's network, again whenever it is asked."""

    def network(self) -> 'HyperSeg':
        """Return the network in evaluation mode, float32, on the CPU."""

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return its tensors by name."""

    def frames(self) -> tuple[StoredFrame, ...]:
        """Return the frames that engines are checked with."""


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

    The frames that engines are checked with are rendered and answered here.

    Raises:
        ConfigError: If labels and network do not fit, or the network was fused.
    """
    path = Path(path)
    check_labels(model.config.num_classes, labels)
    from hyperseg_core.model.state import arrays_of
    from hyperseg_core.model.state import model_of

    state = arrays_of(model, half=half)
    answering = model_of(model.config, state, origin=str(path)) if half else model
    state |= encode_frames(answered_frames(answering, labels))
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
    write_checkpoint_file(path, state, described)
    return path


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
    metadata, state = read_checkpoint_file(path)
    try:
        parts = {key: parse_json(metadata[key], key) for key in JSON_KEYS}
        config = config_from_dict(parts['model'], origin='model')
        labels = LabelSet.from_dict(parts['labels'], origin='labels')
        check_labels(config.num_classes, labels)
        check_preprocessing(parts['preprocessing'], config)
        check_values(state)
        check_remarks(parts['provenance'], parts['scores'])
        describe_efficientnet(config.backbone)
    except (ConfigError, CheckpointError) as err:
        raise CheckpointError(f'{path}: {shortened(str(err), _MAX_MESSAGE)}') from err
    return Checkpoint(
        config=config,
        label_set=labels,
        provenance=parts['provenance'],
        scores=parts['scores'],
        digest=metadata['digest'],
        contents=_FileContents(path, config, metadata['digest']),
    )


class _ModelContents:
    """A network in memory."""

    def __init__(self, model: 'HyperSeg', labels: LabelSet) -> None:
        self._model, self._labels = model, labels

    def network(self) -> 'HyperSeg':
        return self._model

    def tensors(self) -> dict[str, NDArray[Any]]:
        from hyperseg_core.model.state import arrays_of

        return arrays_of(self._model)

    def frames(self) -> tuple[StoredFrame, ...]:
        return answered_frames(self._model, self._labels)


class _FileContents:
    """A file, read again whenever something of it is asked for; a network that is used is kept."""

    def __init__(self, path: Path, config: ModelConfig, file_digest: str) -> None:
        self._path, self._config, self._digest = path, config, file_digest
        self._last: Callable[[], HyperSeg | None] = lambda: None

    def network(self) -> 'HyperSeg':
        model = self._last()
        if model is None:
            from hyperseg_core.model.state import model_of

            model = model_of(self._config, self.tensors(), origin=str(self._path))
            self._last = weakref.ref(model)
        return model

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {key: value for key, value in self._read().items() if not key.startswith(PREFIX)}

    def frames(self) -> tuple[StoredFrame, ...]:
        state = self._read()
        return decode_frames({key: v for key, v in state.items() if key.startswith(PREFIX)})

    def _read(self) -> dict[str, NDArray[Any]]:
        metadata, state = read_checkpoint_file(self._path)
        if metadata['digest'] != self._digest:
            msg = f'{self._path} was replaced by another checkpoint meanwhile; load it anew.'
            raise CheckpointError(msg)
        return state
