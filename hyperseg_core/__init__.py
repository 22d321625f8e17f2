# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HyperSeg for everybody, no ROS inside: the network, its training and its engines.

The names below are the public interface; anything else may change without notice. Each is imported
when it is used, so that a command's help, or a robot that has no PyTorch, waits for nothing.
"""

import importlib
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from hyperseg_core.checkpoint import Checkpoint
    from hyperseg_core.checkpoint import load_checkpoint
    from hyperseg_core.checkpoint import save_checkpoint
    from hyperseg_core.deploy.graph import build_graph
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
    'build_graph',
    'build_model',
    'import_published',
    'load_checkpoint',
    'load_labels',
    'save_checkpoint',
]

_MODULES = {
    'checkpoint': ('Checkpoint', 'load_checkpoint', 'save_checkpoint'),
    'deploy.graph': ('build_graph',),
    'errors': ('CheckpointError', 'ConfigError', 'EngineError', 'HyperSegError', 'InputError'),
    'inference.segmenter': ('Segmentation', 'Segmenter'),
    'labels': ('LabelSet', 'load_labels'),
    'metrics': ('Scores',),
    'model.hyperseg': ('HyperSeg', 'build_model'),  # needs PyTorch
    'model.published': ('import_published',),  # needs PyTorch
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is used."""
    if name in _PLACES:
        return getattr(importlib.import_module(f'{__name__}.{_PLACES[name]}'), name)
    msg = f'module {__name__!r} has no attribute {name!r}'
    raise AttributeError(msg)
