# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the ground, as planners read it: LaserScan, OccupancyGrid, PolygonStamped."""

import array

from geometry_msgs.msg import Point32
from geometry_msgs.msg import PolygonStamped
from nav_msgs.msg import OccupancyGrid
import numpy as np
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Header

from hyperseg_ros.planner.ground import GroundView
from hyperseg_ros.planner.ground_table import GroundLayout


def scan_message(header: Header, view: GroundView, layout: GroundLayout) -> LaserScan:
    """Return the scan; all its fields but the ranges are the same in each."""
    message = LaserScan(
        header=header, angle_min=layout.angle_min_rad, angle_max=layout.angle_max_rad,
        angle_increment=layout.angle_increment_rad, range_min=layout.range_min_m,
        range_max=layout.range_max_m,
    )  # fmt: skip
    ranges = array.array('f')
    ranges.frombytes(view.ranges_m.tobytes())
    message.ranges = ranges
    return message


def grid_message(header: Header, view: GroundView, layout: GroundLayout) -> OccupancyGrid:
    """Return the grid."""
    message = OccupancyGrid(header=header)
    rows, cols = layout.grid_shape
    message.info.map_load_time = header.stamp
    message.info.resolution = layout.resolution_m
    message.info.height, message.info.width = rows, cols
    message.info.origin.position.x = layout.window_m[0]
    message.info.origin.position.y = layout.window_m[1]
    message.info.origin.orientation.w = 1.0
    cells = array.array('b')
    cells.frombytes(view.occupancy.tobytes())
    message.data = cells
    return message


def free_space_message(header: Header, view: GroundView, layout: GroundLayout) -> PolygonStamped:
    """Return the outline of the free ground, on the plane."""
    message = PolygonStamped(header=header)
    heights = layout.heights(view.free_space_m[:, 0], view.free_space_m[:, 1])
    corners = np.column_stack((view.free_space_m, heights)).tolist()
    message.polygon.points = [Point32(x=x, y=y, z=z) for x, y, z in corners]
    return message


TYPES = (LaserScan, OccupancyGrid, PolygonStamped)
MAKERS = (scan_message, grid_message, free_space_message)
