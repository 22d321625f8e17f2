# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HyperSeg: the network, its training and its inference, without ROS."""

import importlib
from typing import TYPE_CHECKING
from typing import Any

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.checkpoint import save_checkpoint
from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import EngineError
from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.metrics import Scores

if TYPE_CHECKING:
    from hyperseg_core.model.hyperseg import HyperSeg
    from hyperseg_core.model.hyperseg import build_model
    from hyperseg_core.model.published import import_published

__all__ = [
    'Checkpoint',
    'CheckpointError',
    'ConfigError',
    'EngineError',
    'HyperSeg',
    'HyperSegError',
    'InputError',
    'LabelSet',
    'Scores',
    'Segmentation',
    'Segmenter',
    'build_model',
    'import_published',
    'load_checkpoint',
    'load_labels',
    'save_checkpoint',
]

_WITH_TORCH = {
    'HyperSeg': 'hyperseg_core.model.hyperseg',
    'build_model': 'hyperseg_core.model.hyperseg',
    'import_published': 'hyperseg_core.model.published',
}


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch when it is used: seconds that a robot's node does not have."""
    if name in _WITH_TORCH:
        return getattr(importlib.import_module(_WITH_TORCH[name]), name)
    msg = f'module {__name__!r} has no attribute {name!r}'
    raise AttributeError(msg)
