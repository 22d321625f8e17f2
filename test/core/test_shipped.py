# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The checkpoints in the repository: small, honest about themselves, and able to see a street."""

import numpy as np
import pytest

from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.data.datasets.drive import DriveData
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.resources import resource
from hyperseg_core.resources import resource_names

NAMES = resource_names('checkpoints', suffix='.safetensors')


def test_default_and_fast_are_shipped() -> None:
    assert set(NAMES) == {'default', 'fast'}


@pytest.mark.parametrize('name', NAMES)
def test_checkpoint_is_small_and_says_where_it_comes_from(name: str) -> None:
    assert resource('checkpoints', f'{name}.safetensors').stat().st_size <= 20_000_000
    checkpoint = load_checkpoint(name)
    assert 'research' in checkpoint.provenance['licence']
    assert any('camvid train+val' in item for item in checkpoint.provenance['data'])
    assert {'recipe', 'steps', 'revision', 'date'} <= checkpoint.provenance.keys()
    for split in ('camvid test', 'drive test'):
        assert 0.5 < checkpoint.scores[split]['mean_iou'] < 1


@pytest.mark.parametrize('name', NAMES)
def test_checkpoint_segments_streets_it_never_saw(name: str) -> None:
    data, segmenter = DriveData('test'), Segmenter(name, 'torch')
    matrix = np.zeros((11, 12), np.int64)
    for index in range(0, len(data), 12):
        image, truth = data.load(index)
        matrix += confusion_matrix(truth, segmenter(image).class_ids, 11)
    scores = Scores.from_confusion(matrix)
    assert scores.mean_iou > 0.65
    assert scores.pixel_accuracy > 0.94
