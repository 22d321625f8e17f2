# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of docs/planner.md, with bounds."""

import numpy as np
import pytest

from hyperseg_core import Segmenter
from hyperseg_ros.planner.accuracy import contacts
from hyperseg_ros.planner.accuracy import score
from hyperseg_ros.planner.accuracy import street_view

SEEDS = range(3_000_000, 3_000_012)


@pytest.mark.slow
def test_contacts_of_the_shipped_networks_masks_are_near_the_truth() -> None:
    segmenter = Segmenter('default')
    views = [street_view(seed, 2.0 + seed % 50) for seed in SEEDS]
    found = score(contacts(view, segmenter(view.frame.image).class_ids) for view in views)
    print(found)
    assert found.num_rays > 500
    assert found.median_error <= 0.06
    assert found.false_share <= 0.02


def test_a_wrong_pitch_costs_what_the_picture_shows() -> None:
    def error(pitch_deg: float) -> float:
        views = [street_view(seed, 2.0 + seed % 50) for seed in SEEDS]
        pairs = [contacts(view, view.frame.labels, np.radians(pitch_deg)) for view in views]
        ranges, truth = (np.concatenate(items) for items in zip(*pairs, strict=True))
        chosen = np.isfinite(ranges) & (truth >= 6) & (truth < 9)
        return float(np.median((ranges[chosen] - truth[chosen]) / truth[chosen]))

    # At a distance of d from a height of h, a degree moves the contact by about d^2 / h / 57.
    assert -0.13 < error(1.0) < -0.03
    assert 0.05 < error(-1.0) < 0.2
    assert abs(error(0.0)) < 0.02
