# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile files: our own errors only, and bounded memory; longer by hand."""

from collections.abc import Callable
from pathlib import Path

import fuzzing
import pytest

_MAX_GROWTH_MIB = 600


@pytest.mark.parametrize(
    ('attempt', 'seeds', 'count'),
    [
        (fuzzing.try_picture, fuzzing.pictures(), 800),
        (fuzzing.try_yaml, [fuzzing.LABELS, fuzzing.DATA], 400),
    ],
    ids=['pictures', 'yaml'],
)
def test_damaged_files_raise_our_own_errors(
    attempt: Callable[[bytes, Path], None], seeds: list[bytes], count: int, tmp_path: Path
) -> None:
    before = fuzzing.peak_mib()
    found = fuzzing.escapes(attempt, fuzzing.damaged(seeds, count), tmp_path)
    assert not [repr(error)[:300] for _, error in found]
    assert fuzzing.peak_mib() - before < _MAX_GROWTH_MIB


def test_damaged_checkpoints_raise_our_own_errors(small_checkpoint: Path, tmp_path: Path) -> None:
    before = fuzzing.peak_mib()
    raw = small_checkpoint.read_bytes()
    files = fuzzing.damaged_checkpoints(raw, 60)
    found = fuzzing.escapes(fuzzing.try_checkpoint, files, tmp_path)
    assert not [repr(error)[:300] for _, error in found]
    assert fuzzing.peak_mib() - before < _MAX_GROWTH_MIB
