# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg annotate`: put measured scores and terms into a checkpoint."""

import json
from pathlib import Path

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.checkpoint import save_checkpoint


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
        report = json.loads(path.read_text(encoding='utf-8'))
        # Not the digest of the file without scores, which nobody will ever have.
        report.pop('checkpoint', None)
        known[f'{report["data"]} {report["split"]}'] = report
    provenance = dict(loaded.provenance) | ({'licence': licence} if licence else {})
    save_checkpoint(
        out, loaded.model, loaded.label_set, provenance=provenance, scores=known, half=True
    )
