# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time what the planners' nodes do for each mask and cloud, on one core.

python benchmarks/bench_planner.py [--runs 200]
"""

import argparse
from collections.abc import Callable
import os
import platform
import time

import cv2
import numpy as np

from hyperseg_core.labels import load_labels
from hyperseg_ros.messages.point_cloud import as_bytes
from hyperseg_ros.planner.accuracy import LAYOUT
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.depth import DepthRays
from hyperseg_ros.planner.ground import read_ground
from hyperseg_ros.planner.ground import state_table
from hyperseg_ros.planner.ground_table import build_table
from hyperseg_ros.planner.labelled_cloud import CameraPicture
from hyperseg_ros.planner.labelled_cloud import paint_from
from hyperseg_ros.planner.layouts import PointLayout
from hyperseg_ros.planner.painting import PaintRules

VIEW = street_view(3, 5.0)
LABELS = load_labels('camvid')
CONFIDENCE = np.full((480, 640), 200, np.uint8)
# A lidar 0.4 m above and 0.3 m behind the camera, in body axes.
CAMERA_FROM_LIDAR = np.array(((0, -1, 0, 0), (0, 0, -1, -0.4), (1, 0, 0, -0.3), (0, 0, 0, 1.0)))


def main() -> None:
    """Print a table of median and 95th percentile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--runs', type=int, default=200)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f'NumPy {np.__version__}, OpenCV {cv2.__version__}, {platform.processor()}; one core')
    print('| what | CPU p50 [ms] | CPU p95 [ms] | wall p50 [ms] |\n| --- | --- | --- | --- |')
    for name, run in (
        ('`ground`: 640 x 480 mask, 120 rays, 10 x 10 m at 5 cm', ground()),
        ('the same with confidence', ground(with_confidence=True)),
        ('its table, when the camera moves', table()),
        ('`labelled_cloud`: depth 640 x 480, `xyzcpe`', depth('xyzcpe')),
        ('depth 640 x 480, `xyzrgb_label`', depth('xyzrgb_label')),
        ('depth 640 x 480, `organised`', depth('organised')),
        ('120,000 lidar points around, `xyzcpe`', lidar(np.pi)),
        ('120,000 lidar points, all in the picture, `xyzcpe`', lidar(0.5)),
    ):
        cpu_ms, wall_ms = timed(run, options.runs)
        p50, p95 = np.percentile(cpu_ms, (50, 95))
        print(f'| {name} | {p50:.2f} | {p95:.2f} | {np.median(wall_ms):.2f} |')


def timed(run: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:
    """Return CPU and wall times [ms]; a busy machine stretches the latter."""
    cpu_ms, wall_ms = [], []
    for index in range(runs + 10):
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        run()
        if index >= 10:
            cpu_ms.append(1000 * (time.thread_time() - cpu_s))
            wall_ms.append(1000 * (time.perf_counter() - wall_s))
    return cpu_ms, wall_ms


def ground(*, with_confidence: bool = False) -> Callable[[], object]:
    """Scan, grid and outline of a mask."""
    states = state_table(LABELS, ('drivable',))
    known = build_table(VIEW.lens, VIEW.base_from_camera(), LAYOUT)
    confidence = CONFIDENCE if with_confidence else None
    return lambda: read_ground(
        known, VIEW.frame.labels, states, confidence=confidence, min_confidence=0.5
    )


def table() -> Callable[[], object]:
    """The table of a camera."""
    return lambda: build_table(VIEW.lens, VIEW.base_from_camera(), LAYOUT)


def depth(name: str) -> Callable[[], object]:
    """From a depth image to the bytes of a cloud."""
    rays, layout = DepthRays(VIEW.lens), PointLayout(name, LABELS)
    values = np.where(np.isfinite(VIEW.frame.depth), VIEW.frame.depth, np.nan).astype(np.float32)
    picture = CameraPicture(
        mask=VIEW.frame.labels, confidence=CONFIDENCE, lens=VIEW.lens, camera_from_points=None
    )

    def run() -> object:
        points = rays.points(values)
        found = paint_from(points, [picture], PaintRules())
        return as_bytes(layout.fill(points, found.class_ids, found.confidence))

    return run


def lidar(half_angle_rad: float) -> Callable[[], object]:
    """From a lidar's points to the bytes of a cloud."""
    rng = np.random.default_rng(0)
    azimuth = rng.uniform(-half_angle_rad, half_angle_rad, 120_000)
    elevation, distance = rng.uniform(-0.35, 0.3, 120_000), rng.uniform(4, 60, 120_000)
    points = np.stack(
        (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
         np.sin(elevation)), axis=1,
    )  # fmt: skip
    points = (points * distance[:, None]).astype(np.float32)
    layout = PointLayout('xyzcpe', LABELS)
    picture = CameraPicture(
        mask=VIEW.frame.labels, confidence=CONFIDENCE, lens=VIEW.lens,
        camera_from_points=CAMERA_FROM_LIDAR,
    )  # fmt: skip

    def run() -> object:
        found = paint_from(points, [picture], PaintRules())
        return as_bytes(layout.fill(points, found.class_ids, found.confidence))

    return run


if __name__ == '__main__':
    main()
