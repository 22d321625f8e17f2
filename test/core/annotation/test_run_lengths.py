# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs and polygons; the constants are what cocoapi's pycocotools 2.0.11 writes."""

import numpy as np
import pytest

from hyperseg_core import InputError
from hyperseg_core.annotation.run_lengths import mask_of
from hyperseg_core.annotation.run_lengths import polygon_mask
from hyperseg_core.annotation.run_lengths import runs_of
from hyperseg_core.annotation.run_lengths import runs_of_text


@pytest.mark.parametrize(('share', 'seed'), [(0.0, 0), (1.0, 0), (0.5, 1), (0.03, 2)])
def test_runs_describe_the_mask_that_they_were_made_of(share: float, seed: int) -> None:
    is_inside = np.random.default_rng(seed).random(501) < share
    runs = runs_of(is_inside)
    np.testing.assert_array_equal(mask_of(runs, 501), is_inside)
    assert sum(runs[1::2]) == is_inside.sum()


def test_a_mask_that_begins_inside_begins_with_no_pixel_outside() -> None:
    assert runs_of(np.array([True, True, False])) == [0, 2, 1]
    assert runs_of(np.array([False, True])) == [1, 1]


@pytest.mark.parametrize('runs', [[2, 2], [-1, 6], [5, 1], [2.5, 2.5], ['5'], [True, 4], []])
def test_runs_of_another_length_are_refused(runs: list[int]) -> None:
    with pytest.raises(InputError, match='add up to 5 px'):
        mask_of(runs, 5)


def test_compressed_runs_are_those_of_pycocotools() -> None:
    mask = np.zeros((7, 9), bool)
    mask[1:3, 2:5] = mask[5, 7] = mask[0, 0] = True
    assert runs_of_text('01>1G000b0OA') == runs_of(mask.ravel(order='F'))


@pytest.mark.parametrize('text', ['0 1', '\x7f', 'oooooooo', 'o', 'é'])
def test_damaged_compressed_runs_are_refused(text: str) -> None:
    with pytest.raises(InputError, match='compressed runs'):
        runs_of_text(text)


def test_a_polygon_holds_the_pixels_whose_centres_it_holds() -> None:
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    corners = np.array([(1, 1), (4, 1), (4, 3), (1, 3)], float)
    np.testing.assert_array_equal(polygon_mask(corners, 5, 6), expected)
    np.testing.assert_array_equal(polygon_mask(corners[::-1], 5, 6), expected)


def test_a_polygon_beyond_the_image_is_cut_at_its_sides() -> None:
    corners = np.array([(-50, -50), (1e6, -50), (1e6, 2), (-50, 2)], float)
    mask = polygon_mask(corners, 4, 3)
    assert mask[:2].all()
    assert not mask[2:].any()


def test_what_a_polygon_encloses_twice_is_outside() -> None:
    outer = [(0, 0), (8, 0), (8, 8), (0, 8), (0, 0)]
    inner = [(2, 2), (6, 2), (6, 6), (2, 6), (2, 2)]
    mask = polygon_mask(np.array(outer + inner, float), 8, 8)
    assert mask.sum() == 64 - 16
    assert not mask[2:6, 2:6].any()
