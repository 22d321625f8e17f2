# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag label` against `Segmenter` alone: frames per second on raw 640x480, one run."""

import argparse
from pathlib import Path
import resource
import tempfile
import time

from hyperseg_core import Segmenter
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.drive import DriveScene
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.bags.labelling import label_bag
from hyperseg_ros.bags.make import bag_make_command


def main() -> None:
    """Label a bag of so many frames, and segment as many in a loop, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=300)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--engine', default='auto')
    options = parser.parse_args()
    segmenter = Segmenter(engine=options.engine, frame_size=(480, 640))
    scene = DriveScene(1)
    frames = [scene.frame(index / 30).image for index in range(30)]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder, 'bag')
        bag_make_command(bag, drive=options.frames / 30, rate=30.0)
        for number in range(options.rounds):
            start_s = time.perf_counter()
            for index in range(options.frames):
                segmenter(frames[index % len(frames)])
            alone = options.frames / (time.perf_counter() - start_s)
            start_s = time.perf_counter()
            label_bag(
                bag, Path(folder, f'out{number}'), segmenter, LabelOptions(), ['/camera/image_raw']
            )
            labelling = options.frames / (time.perf_counter() - start_s)
            ratios.append(labelling / alone)
            print(f'Segmenter {alone:.1f} frames/s, bag label {labelling:.1f}: {ratios[-1]:.3f}')
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f'median ratio {sorted(ratios)[len(ratios) // 2]:.3f}, peak {peak_mib:.0f} MiB')
    print(f'{segmenter.spec}; {describe_machine()}')


if __name__ == '__main__':
    main()
