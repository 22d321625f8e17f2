# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from hyperseg_ros.node.rate_limit import RateLimit


@pytest.mark.parametrize(('camera_hz', 'expected'), [(30.0, 100), (10.0, 100), (7.0, 70)])
def test_rate_limit_holds_on_average_and_passes_a_camera_of_that_rate(
    camera_hz: float, expected: int
) -> None:
    limit = RateLimit()
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, int(10 * camera_hz))
    arrivals = np.arange(len(jitter)) / camera_hz + jitter
    admitted = sum(limit.admits(float(moment), 10.0) for moment in arrivals)
    assert admitted == pytest.approx(expected, abs=2)
    assert admitted <= 101
    assert all(limit.admits(moment, 0.0) for moment in (0.0, 0.0, 0.1))
