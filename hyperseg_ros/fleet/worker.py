# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One bag: staged, labelled, uploaded, committed. Runs in a worker's process; knows no Ray."""

import faulthandler
import os
from pathlib import Path
from pathlib import PurePosixPath
import resource
import socket
import time
from typing import Any

import cv2

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_core.errors import shortened
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_ros.bags.labelling import LabelReport
from hyperseg_ros.bags.labelling import label_bag
from hyperseg_ros.fleet.commit import Publication
from hyperseg_ros.fleet.commit import find_result
from hyperseg_ros.fleet.job import Job
from hyperseg_ros.fleet.job import Labelling
from hyperseg_ros.fleet.job import Outcome
from hyperseg_ros.fleet.staging import check_unchanged
from hyperseg_ros.fleet.staging import held
from hyperseg_ros.fleet.staging import stage
from hyperseg_ros.fleet.staging import sweep
from hyperseg_ros.fleet.storage import Store

_segmenters: dict[Labelling, Segmenter] = {}
"""The last one, kept for the next bag: building an engine takes longer than a small bag."""


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last_s = time.monotonic()

    def note(self, stage_name: str) -> None:
        """Count the time since the last note for a stage."""
        now_s = time.monotonic()
        self.seconds[stage_name] = round(now_s - self._last_s, 3)
        self._last_s = now_s


def label_one(job: Job) -> Outcome:
    """Label one bag and commit its result; whatever goes wrong is in the outcome."""
    timeout_s = job.labelling.timeout_s
    if timeout_s:
        # In C: it ends a process that hangs in a library, too.
        faulthandler.dump_traceback_later(timeout_s, exit=True, file=2)
    clock = _Clock()
    try:
        return _label(job, clock)
    except (HyperSegError, OSError, MemoryError) as error:
        return _outcome(job, clock, 'retry', f'{error}' or type(error).__name__)
    finally:
        if timeout_s:
            faulthandler.cancel_dump_traceback_later()


def _label(job: Job, clock: _Clock) -> Outcome:
    bag, labelling = job.bag, job.labelling
    store = Store(labelling.out)
    scratch = Path(labelling.scratch)
    sweep(scratch)
    publication = Publication(store, bag.name, job.key)
    with held(scratch, job.scratch_key) as folder:
        segmenter = _segmenter(labelling)
        clock.note('engine')
        if (done := find_result(store, bag.name)) is not None and done.key == job.key:
            # By another run, or by a worker that was given up and went on.
            publication.end()
            return _outcome(job, clock, 'labelled').counted(done.content)
        try:
            publication.check()
        except ConfigError as error:
            return _outcome(job, clock, 'failed', str(error))
        path = stage(bag, folder)
        clock.note('stage')
        out = folder / 'result' / PurePosixPath(bag.name).name
        try:
            report = _labelled(path, out, segmenter, labelling)
        except (InputError, ConfigError) as error:  # the bag's own fault, on any machine
            publication.fail(str(error), _facts(job, clock))
            return _outcome(job, clock, 'failed', str(error))
        clock.note('label')
        check_unchanged(bag)
        if not report.labelled:
            reason = shortened(next(iter(report.problems), 'it has no images'))
            publication.fail(reason, _facts(job, clock))
            return _outcome(job, clock, 'failed', f'no image could be labelled: {reason}')
        publication.begin()
        done = publication.commit(out, _facts(job, clock))
        clock.note('upload')
        return _outcome(job, clock, 'labelled').counted(done.content)


def _segmenter(labelling: Labelling) -> Segmenter:
    """Return the engine of the last bag, or a new one.

    Raises:
        CheckpointError: If the checkpoint here is another than the one that was asked for.
    """
    if labelling not in _segmenters:
        _segmenters.clear()
        # Ray counts CPUs; that libraries use no more is left to those who call them.
        os.environ['OMP_NUM_THREADS'] = str(labelling.num_threads)
        cv2.setNumThreads(labelling.num_threads)
        segmenter = Segmenter(
            labelling.checkpoint, labelling.engine, labelling.device, labelling.precision,
            labelling.size, replaces_lost=False,
        )  # fmt: skip
        if segmenter.checkpoint.digest != labelling.checkpoint_digest:
            msg = (
                f'{labelling.checkpoint} on {socket.gethostname()} is another checkpoint than '
                f'where the run was started.'
            )
            raise CheckpointError(msg)
        _segmenters[labelling] = segmenter
    return _segmenters[labelling]


def _labelled(path: Path, out: Path, segmenter: Segmenter, labelling: Labelling) -> LabelReport:
    topics = list(labelling.topics) if labelling.topics is not None else None
    return label_bag(path, out, segmenter, labelling.options, topics, resume=True)


def _facts(job: Job, clock: _Clock) -> dict[str, Any]:
    files = [{'name': f.name, 'size': f.size, 'tag': f.tag} for f in job.bag.files]
    return {
        'input': {'url': job.bag.place, 'folder': job.bag.folder, 'files': files},
        'seconds': dict(clock.seconds),
        'attempt': job.attempt,
        'host': socket.gethostname(),
    }


def _outcome(job: Job, clock: _Clock, status: Any, reason: str = '') -> Outcome:
    return Outcome(
        name=job.bag.name,
        status=status,
        reason=shortened(' '.join(reason.split())),
        num_bytes=job.bag.size,
        seconds=clock.seconds,
        attempt=job.attempt,
        host=socket.gethostname(),
        pid=os.getpid(),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
    )
