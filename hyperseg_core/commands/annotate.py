# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg annotate`: put measured scores and terms into a checkpoint."""

import json
from pathlib import Path
from typing import Any

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.checkpoint import save_checkpoint
from hyperseg_core.errors import InputError


def annotate_command(
    checkpoint: str, out: Path, scores: list[Path] | None = None, licence: str | None = None
) -> None:
    """Write a copy of a checkpoint with scores, as half precision.

    Args:
        checkpoint: File or name of a shipped checkpoint.
        out: Where to.
        scores: Files that `hyperseg evaluate --output` wrote; kept by data set and split.
        licence: Terms of the weights.
    """
    loaded = load_checkpoint(checkpoint)
    known = dict(loaded.scores)
    for path in scores or ():
        report = _report(path)
        # Not the digest of the file without scores, which nobody will ever have.
        report.pop('checkpoint', None)
        known[f'{report["data"]} {report["split"]}'] = report
    provenance = dict(loaded.provenance) | ({'licence': licence} if licence else {})
    save_checkpoint(
        out, loaded.model, loaded.label_set, provenance=provenance, scores=known, half=True
    )


def _report(path: Path) -> dict[str, Any]:
    """Read a file of scores.

    Raises:
        InputError: If it is none.
        OSError: If it cannot be read.
    """
    try:
        report = json.loads(path.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as err:
        msg = f'{path} is no JSON: {str(err)[:120]}.'
        raise InputError(msg) from err
    if not isinstance(report, dict) or not {'data', 'split'} <= set(report):
        msg = (
            f'{path} is no scores.json of `hyperseg evaluate --output`: it names no data or split.'
        )
        raise InputError(msg)
    return report
