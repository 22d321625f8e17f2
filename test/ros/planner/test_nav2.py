# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Nav2 makes of our scans and grids: marking, clearing, dropping."""

import dataclasses
from types import SimpleNamespace
from typing import Any

from nav2_rules import FREE
from nav2_rules import LETHAL
from nav2_rules import UNKNOWN
from nav2_rules import ObstacleCostmap
from nav2_rules import Source
from nav2_rules import combined
from nav2_rules import monitored
from nav2_rules import projected
from nav2_rules import static_cost
import numpy as np
import pytest
import yaml

from hyperseg_core.labels import load_labels
from hyperseg_core.resources import resource
from hyperseg_ros.planner.accuracy import LAYOUT
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.ground import GroundView
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import build_table

VIEW = street_view(3, 5.0)
STATES = state_table(load_labels('camvid'), ('drivable',))
ROAD, CAR = 3, 8
CONFIG = yaml.safe_load(resource('config', 'nav2_ground.yaml').read_text())
COSTMAP = CONFIG['local_costmap']['local_costmap']['ros__parameters']
LAYER = COSTMAP['segmenter_layer']
SHIPPED = Source(
    **{
        name: value
        for name, value in LAYER['segmenter_scan'].items()
        if name in {item.name for item in dataclasses.fields(Source)}
    }
)


def ground(mask: np.ndarray) -> GroundView:
    return read_ground(build_table(VIEW.lens, VIEW.base_from_camera(), LAYOUT), mask, STATES)


def scan(mask: np.ndarray, range_max: float = LAYOUT.range_max_m) -> Any:
    return SimpleNamespace(
        ranges=ground(mask).ranges_m, angle_min=LAYOUT.angle_min_rad, range_max=range_max,
        angle_increment=LAYOUT.angle_increment_rad, range_min=LAYOUT.range_min_m,
    )  # fmt: skip


EMPTY = np.where(np.arange(480)[:, None] > VIEW.lens.matrix[1, 2], ROAD, 0) * np.ones(640, int)
EMPTY = EMPTY.astype(np.uint8)
BLOCKED = EMPTY.copy()
BLOCKED[200:380, 280:360] = CAR
AHEAD_M = float(np.float32(VIEW.plan.pose.height_m) * VIEW.lens.matrix[1, 1])
AHEAD_M /= 379.5 - float(VIEW.lens.matrix[1, 2])
"""How far the blocked mask's car is, by its lowest row."""


def costmap(source: Source = SHIPPED) -> ObstacleCostmap:
    return ObstacleCostmap(COSTMAP['width'], COSTMAP['resolution'], source)


def is_marked_near(found: ObstacleCostmap, x: float) -> bool:
    values = [found.value(x + shift, 0.0) for shift in (-0.1, -0.05, 0.0, 0.05, 0.1)]
    return LETHAL in values


def test_a_contact_is_marked_and_the_way_to_it_is_cleared() -> None:
    assert 2.5 < AHEAD_M < 4.9
    found = costmap()
    found.update(scan(BLOCKED))
    assert is_marked_near(found, AHEAD_M)
    assert found.value(AHEAD_M - 0.5, 0.0) == FREE
    assert found.value(AHEAD_M + 0.4, 0.0) == UNKNOWN


def test_a_free_ray_clears_what_has_gone_and_marks_nothing() -> None:
    found = costmap()
    found.update(scan(BLOCKED))
    found.update(scan(EMPTY))
    assert not is_marked_near(found, AHEAD_M)
    assert found.value(4.9, 0.0) == FREE
    assert LETHAL not in found.cells


def test_without_inf_is_valid_a_free_ray_clears_nothing() -> None:
    found = costmap(dataclasses.replace(SHIPPED, inf_is_valid=False))
    found.update(scan(BLOCKED))
    found.update(scan(EMPTY))
    assert is_marked_near(found, AHEAD_M)


def test_an_unknown_ray_neither_clears_nor_marks() -> None:
    found = costmap()
    found.update(scan(BLOCKED))
    before = found.cells.copy()
    found.update(scan(np.full((480, 640), 255, np.uint8)))
    np.testing.assert_array_equal(found.cells, before)
    aside = np.isnan(scan(EMPTY).ranges)
    assert aside.any()
    assert len(projected(scan(EMPTY), inf_is_valid=True)) == (~aside).sum()


def test_the_sources_default_heights_drop_what_is_a_hair_off_the_plane() -> None:
    # Odometry and TF seldom put base_footprint at exactly 0.
    defaults = dataclasses.replace(SHIPPED, min_obstacle_height=0.0, max_obstacle_height=0.0)
    for height_m in (-1e-9, 1e-9):
        found = costmap(defaults)
        found.update(scan(BLOCKED), height_m)
        assert (found.cells == UNKNOWN).all()
        found = costmap()
        found.update(scan(BLOCKED), height_m)
        assert is_marked_near(found, AHEAD_M)
    assert LAYER['min_obstacle_height'] < 0 < LAYER['max_obstacle_height']


def test_range_max_within_obstacle_max_range_would_mark_the_end_of_free_rays() -> None:
    wrong = dataclasses.replace(SHIPPED, obstacle_max_range=20.0)
    found = ObstacleCostmap(40.0, 0.05, wrong)
    found.update(scan(EMPTY))
    assert (found.cells == LETHAL).any()
    right = ObstacleCostmap(40.0, 0.05, SHIPPED)
    right.update(scan(EMPTY))
    assert not (right.cells == LETHAL).any()


def test_the_shipped_parameters_fit_the_scan() -> None:
    corner_m = COSTMAP['width'] / np.sqrt(2)
    assert LAYOUT.range_max_m > corner_m
    assert LAYOUT.range_max_m > SHIPPED.obstacle_max_range
    assert SHIPPED.raytrace_max_range > SHIPPED.obstacle_max_range
    assert SHIPPED.inf_is_valid
    assert COSTMAP['track_unknown_space']
    assert COSTMAP['rolling_window']
    assert COSTMAP['grid_layer']['map_subscribe_transient_local']
    # +Inf less a tenth of a millimetre is less than range_max still, as float32 has them.
    for range_max in (0.2, 15.0, 500.0):
        ranges = np.array([np.inf], np.float32)
        some = SimpleNamespace(
            ranges=ranges, angle_min=0.0, angle_increment=0.1, range_min=0.1, range_max=range_max
        )
        assert len(projected(some, inf_is_valid=True)) == 1


def test_the_collision_monitor_sees_finite_ranges_only() -> None:
    ranges = scan(BLOCKED).ranges
    assert np.isinf(ranges).any()
    assert np.isnan(ranges).any()
    points = monitored(scan(BLOCKED))
    assert len(points) == np.isfinite(ranges).sum() > 3
    assert points.min() == pytest.approx(AHEAD_M, abs=0.1)
    assert len(monitored(scan(EMPTY))) == 0


@pytest.mark.parametrize(
    ('occupancy', 'tracked', 'not_tracked'),
    [(-1, UNKNOWN, FREE), (0, FREE, FREE), (100, LETHAL, LETHAL)],
)
def test_the_static_layer_reads_the_grid(occupancy: int, tracked: int, not_tracked: int) -> None:
    assert set(np.unique(ground(BLOCKED).occupancy)) <= {-1, 0, 100}
    assert static_cost(occupancy, track_unknown_space=True) == tracked
    assert static_cost(occupancy, track_unknown_space=False) == not_tracked


def test_in_the_static_layer_unknown_outranks_an_obstacle_of_another_layer() -> None:
    # Which is why the grid's layer comes first, and the obstacle layer after it.
    assert combined(UNKNOWN, LETHAL, use_maximum=True) == UNKNOWN
    assert combined(FREE, LETHAL, use_maximum=False) == FREE
