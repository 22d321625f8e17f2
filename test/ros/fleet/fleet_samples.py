# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small bags in folders, as a fleet meets them, and the labelling of them."""

from importlib import metadata
from pathlib import Path
from typing import Any

from bag_samples import simple_mcap
from bag_samples import write_metadata

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_ros.fleet.inputs import find_inputs
from hyperseg_ros.fleet.inputs import with_digests
from hyperseg_ros.fleet.job import Job
from hyperseg_ros.fleet.job import Labelling


def bag_folder(path: Path, count: int = 3) -> Path:
    """Make a rosbag2 folder with so many images."""
    path.mkdir(parents=True)
    simple_mcap(path / f'{path.name}_0.mcap', count)
    write_metadata(path, [f'{path.name}_0.mcap'], count=count)
    return path


def labelling(folder: Path, out: str, **changes: Any) -> Labelling:
    """Return how the fast network labels, with a scratch folder in `folder`."""
    options = {
        'checkpoint': 'fast', 'checkpoint_digest': load_checkpoint('fast').digest,
        'package': metadata.version('hyperseg_ros'), 'scratch': str(folder / 'scratch'),
        'num_threads': 2,
    }  # fmt: skip
    return Labelling(out=out, **(options | changes))


def jobs_of(source: str, asked: Labelling) -> list[Job]:
    """Return a job for each bag."""
    return [Job(bag, asked.key(bag), asked) for bag in with_digests(find_inputs([source]).bags)]
