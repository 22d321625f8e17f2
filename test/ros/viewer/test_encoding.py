# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from hyperseg_core.render import encode_jpeg
from hyperseg_ros.viewer.encoding import encode_values


@pytest.mark.parametrize('shape', [(48, 64), (1, 1), (3, 1300)])
def test_ids_come_through_untouched_and_grey(shape: tuple[int, int]) -> None:
    ids = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    read = cv2.imdecode(np.frombuffer(encode_values(ids, 2000), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, ids)


def test_views_with_gaps_are_encoded() -> None:
    ids = np.arange(200, dtype=np.uint8).reshape(10, 20)[:, ::2]
    read = cv2.imdecode(np.frombuffer(encode_values(ids, 100), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, ids)


def test_wide_ids_are_thinned_out_never_mixed() -> None:
    ids = np.where(np.arange(400) < 200, 3, 9).astype(np.uint8)[None].repeat(20, 0)
    read = cv2.imdecode(np.frombuffer(encode_values(ids, 100), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.shape == (5, 100)
    assert set(np.unique(read)) == {3, 9}


def test_pictures_keep_their_colours_and_are_bounded() -> None:
    red = np.zeros((30, 60, 3), np.uint8)
    red[..., 0] = 200
    read = cv2.imdecode(np.frombuffer(encode_jpeg(red, 40), np.uint8), cv2.IMREAD_COLOR)
    assert read.shape == (20, 40, 3)
    assert abs(int(read[..., 2].mean()) - 200) < 5  # OpenCV reads blue, green, red
    assert read[..., 0].mean() < 5
