# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a run's folder to a checkpoint that others can load."""

from datetime import date
import logging
from pathlib import Path
import subprocess
from typing import Any

import torch

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.checkpoint import save_checkpoint
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.errors import CheckpointError
from hyperseg_core.model.config import load_config
from hyperseg_core.model.hyperseg import build_model
from hyperseg_core.training.config import TrainConfig

_logger = logging.getLogger(__name__)
_PREFIX = 'model.'


def export_run(
    run: Path,
    config: TrainConfig,
    *,
    which: str = 'last',
    out: Path | None = None,
    half: bool = True,
    scores: dict[str, Any] | None = None,
    licence: str = 'see the terms of the data that it was trained on',
) -> Path:
    """Write a run's averaged weights as a checkpoint.

    Args:
        run: The run's folder.
        config: Its recipe.
        which: `last` or `best`.
        out: Where to; None: `<which>.safetensors` in the run's folder.
        half: Store float16.
        scores: Scores by split, if they are known.
        licence: Terms of the weights.

    Raises:
        CheckpointError: If the run has no such state.
    """
    path = run / f'{which}.ckpt'
    if not path.is_file():
        msg = f'{run} has no {which}.ckpt yet; train first, or name another folder.'
        raise CheckpointError(msg)
    state = torch.load(path, map_location='cpu', weights_only=True)
    labels = open_data(config.data.train[0]).labels
    num_outputs = len(labels) + int(config.model.void_output)
    model = build_model(load_config(config.model.preset, num_classes=num_outputs))
    weights = {
        key.removeprefix(_PREFIX): value
        for key, value in state['state_dict'].items()
        if key.startswith(_PREFIX)
    }
    model.load_state_dict(weights)
    provenance = {
        'source': 'trained with hyperseg train',
        'licence': licence,
        'data': [
            f'{source.kind} {source.split}, share {source.share}' for source in config.data.train
        ],
        'start': _start(config),
        'recipe': f'{config.output}, seed {config.seed}',
        'epochs': int(state['epoch']) + 1,
        'steps': int(state['global_step']),
        'revision': _revision(),
        'date': date.today().isoformat(),
    }
    out = out or run / f'{which}.safetensors'
    save_checkpoint(out, model, labels, provenance=provenance, scores=scores, half=half)
    _logger.info('Wrote %s.', out)
    return out


def _start(config: TrainConfig) -> str:
    """Say which weights the run started from."""
    if config.model.initial_weights is None:
        return config.model.pretrained_backbone or 'random weights'
    digest = load_checkpoint(config.model.initial_weights).digest
    return f'{config.model.initial_weights}, digest {digest[:16]}'


def _revision() -> str:
    """Return the source tree's git revision, or `unknown` for an installed package."""
    try:
        done = subprocess.run(
            ['git', 'rev-parse', '--short', 'HEAD'],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return 'unknown'
    return done.stdout.strip()
