# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How right contacts and painted points are on rendered streets, and a picture of wrong pitch.

python benchmarks/planner_accuracy.py [--streets 40] [--checkpoint default]
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperseg_core import Segmenter
from hyperseg_core.render import write_png
from hyperseg_ros.planner.accuracy import StreetView
from hyperseg_ros.planner.accuracy import contacts
from hyperseg_ros.planner.accuracy import lidar_view
from hyperseg_ros.planner.accuracy import score
from hyperseg_ros.planner.accuracy import score_points
from hyperseg_ros.planner.accuracy import street_view
from hyperseg_ros.planner.painting import PaintRules

PICTURE = Path(__file__).resolve().parents[1] / 'docs' / 'images' / 'pitch_error.png'
PITCHES_DEG = np.arange(-2.0, 2.01, 0.25)
BANDS_M = ((4.0, 6.0), (6.0, 9.0), (9.0, 15.0))
COLOURS = ((35, 110, 200), (220, 120, 20), (60, 150, 60))
FIRST_STREET = 3_000_000
"""Of the test split of rendered streets, which no training saw."""


def main() -> None:
    """Print the figures and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--streets', type=int, default=40)
    parser.add_argument('--checkpoint', default='default')
    options = parser.parse_args()
    seeds = range(FIRST_STREET, FIRST_STREET + options.streets)
    views = [street_view(seed, 2.0 + seed % 50) for seed in seeds]
    print('true masks:', score(contacts(view, view.frame.labels) for view in views))
    segmenter = Segmenter(options.checkpoint)
    masks = [segmenter(view.frame.image).class_ids for view in views]
    found = score(contacts(view, mask) for view, mask in zip(views, masks, strict=True))
    print(f'masks of {options.checkpoint}:', found)
    errors = pitch_errors(views)
    for (near, far), band in zip(BANDS_M, errors, strict=True):
        print(
            f'{near:g} to {far:g} m:', dict(zip(PITCHES_DEG.tolist(), band.round(3), strict=True))
        )
    write_png(PICTURE, drawn(errors))
    for motion in ({}, {'offset_s': 0.05, 'speed_mps': 10.0}):
        sweeps = [lidar_view(seed, 2.0 + seed % 50, **motion) for seed in list(seeds)[:20]]
        print('lidar', motion, score_points(sweeps, PaintRules()))


def pitch_errors(views: list[StreetView]) -> NDArray[np.float64]:
    """Return the median signed error, as a share of the distance, (bands, pitches)."""
    errors = np.full((len(BANDS_M), len(PITCHES_DEG)), np.nan)
    for column, pitch_deg in enumerate(PITCHES_DEG):
        pairs = [contacts(view, view.frame.labels, np.radians(pitch_deg)) for view in views]
        ranges, truth = (np.concatenate(items) for items in zip(*pairs, strict=True))
        for row, (near, far) in enumerate(BANDS_M):
            chosen = np.isfinite(ranges) & (truth >= near) & (truth < far)
            if chosen.sum() > 20:
                share = (ranges[chosen] - truth[chosen]) / truth[chosen]
                errors[row, column] = np.median(share)
    return errors


def drawn(errors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Draw the curves, (H, W, 3) RGB."""
    height, width, left, top, right, bottom = 420, 640, 70, 40, 20, 55
    picture = np.full((height, width, 3), 255, np.uint8)
    top_share = 0.3

    def place(pitch_deg: float, share: float) -> tuple[int, int]:
        x = left + (pitch_deg + 2) / 4 * (width - left - right)
        y = top + (top_share - share) / (2 * top_share) * (height - top - bottom)
        return round(x), round(y)

    def text(words: str, where: tuple[int, int], colour: tuple[int, int, int] = (0, 0, 0)) -> None:
        cv2.putText(picture, words, where, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

    for share in np.arange(-0.3, 0.31, 0.1):
        cv2.line(picture, place(-2, share), place(2, share), (215, 215, 215), 1)
        text(f'{100 * share:+.0f} %', (12, place(-2, share)[1] + 5))
    for pitch_deg in np.arange(-2, 2.1, 0.5):
        cv2.line(picture, place(pitch_deg, -0.3), place(pitch_deg, 0.3), (215, 215, 215), 1)
        text(f'{pitch_deg:+.1f}', (place(pitch_deg, 0)[0] - 15, height - bottom + 20))
    text('error of the contact, as a share of its distance (median)', (left, 22))
    text('pitch of TF less the true one, nose down [degree]', (left + 110, height - 10))
    for (near, far), band, colour in zip(BANDS_M, errors, COLOURS, strict=True):
        known = [
            place(pitch_deg, share)
            for pitch_deg, share in zip(PITCHES_DEG, band, strict=True)
            if abs(share) <= top_share
        ]
        cv2.polylines(picture, [np.array(known, np.int32)], False, colour, 2, cv2.LINE_AA)
        for point in known:
            cv2.circle(picture, point, 3, colour, -1, cv2.LINE_AA)
        row = BANDS_M.index((near, far))
        text(f'{near:g} to {far:g} m', (width - 150, top + 22 + 20 * row), colour)
    return picture


if __name__ == '__main__':
    main()
