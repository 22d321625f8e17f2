# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from hyperseg_core import InputError
from hyperseg_core import load_checkpoint
from hyperseg_core.commands.annotate import annotate_command


def test_scores_are_kept_by_data_set_and_split(small_checkpoint: Path, tmp_path: Path) -> None:
    scores = tmp_path / 'scores.json'
    scores.write_text('{"data": "drive", "split": "test", "checkpoint": "abc", "mean_iou": 0.5}')
    annotate_command(str(small_checkpoint), tmp_path / 'out.safetensors', [scores], 'mine')
    checkpoint = load_checkpoint(tmp_path / 'out.safetensors')
    assert checkpoint.provenance['licence'] == 'mine'
    assert checkpoint.scores['drive test']['mean_iou'] == 0.5
    assert 'checkpoint' not in checkpoint.scores['drive test']


@pytest.mark.parametrize('content', [b'', b'{}', b'[1]', b'\xff\xfe', b'{"data": "drive"}'])
def test_files_that_are_no_scores_are_refused_by_name(
    content: bytes, small_checkpoint: Path, tmp_path: Path
) -> None:
    scores, out = tmp_path / 'scores.json', tmp_path / 'out.safetensors'
    scores.write_bytes(content)
    with pytest.raises(InputError, match=r'scores\.json'):
        annotate_command(str(small_checkpoint), out, [scores])
    assert not out.exists()
