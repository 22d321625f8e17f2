# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One labelled bag against its truth, in a worker's process."""

from dataclasses import dataclass
from dataclasses import field
import hashlib
from pathlib import Path
import shutil
from typing import Literal

from hyperseg_core.errors import HyperSegError
from hyperseg_core.errors import InputError
from hyperseg_core.labels import load_labels
from hyperseg_ros.bags.mask_stream import mask_topics
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.scoring import BagScore
from hyperseg_ros.bags.scoring import score_topics
from hyperseg_ros.fleet.commit import file_sha256
from hyperseg_ros.fleet.inputs import BagInput
from hyperseg_ros.fleet.staging import held
from hyperseg_ros.fleet.staging import stage


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """A labelled bag to score."""

    masks: BagInput
    """The labelled bag, as it was committed."""
    digests: dict[str, str]
    """SHA-256 of its files."""
    truth: BagInput | None
    """The bag with the true labels; None: the labelled one holds them (`--copy`)."""
    topic: str
    """Of the true labels."""
    label_set: str
    scratch: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class BagScores:
    """What a bag scores."""

    name: str
    status: Literal['scored', 'no truth', 'failed', 'retry']
    reason: str = ''
    num_masks: int = 0
    confusion: list[list[int]] = field(default_factory=list)
    """(N, N + 1), rows the truth."""
    problems: list[str] = field(default_factory=list)


def score_bag(job: ScoreJob) -> BagScores:
    """Score one bag; whatever goes wrong is in the answer."""
    try:
        return _scored(job)
    except (HyperSegError, OSError, MemoryError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        return BagScores(job.masks.name, 'retry', reason)


def _scored(job: ScoreJob) -> BagScores:
    key = hashlib.sha256(f'score {job.masks.place}'.encode()).hexdigest()
    with held(Path(job.scratch), key) as folder:
        masks = stage(job.masks, _empty(folder / 'masks'), has_result=False)
        _check_whole(masks, job.digests)
        truth = masks
        if job.truth is not None:
            truth = stage(job.truth, _empty(folder / 'truth'), has_result=False)
        with open_bag(truth) as reader:
            if job.topic not in {item.topic for item in reader.connections}:
                return BagScores(job.masks.name, 'no truth', f'no topic {job.topic} in it')
        score = BagScore(load_labels(job.label_set))
        try:
            lines = _score_all(score, masks, truth, job.topic)
        except InputError as error:
            return BagScores(job.masks.name, 'failed', str(error))
        return BagScores(
            job.masks.name, 'scored', '', score.num_pairs, score.confusion.tolist(),
            [*lines, *score.unknown_ids()],
        )  # fmt: skip


def _check_whole(bag: Path, digests: dict[str, str]) -> None:
    """Check that a labelled bag is what was committed.

    Raises:
        InputError: If it is not.
    """
    for name, digest in digests.items():
        if file_sha256(bag / name) != digest:
            msg = f'{name} is not what was committed; label the bag again.'
            raise InputError(msg)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _score_all(score: BagScore, masks: Path, truth: Path, topic: str) -> list[str]:
    """Score the topic of masks whose stamps the truth has.

    Raises:
        InputError: If no topic has any.
    """
    topics = mask_topics(masks)
    troubles: list[str] = []
    for mask_topic in topics:
        try:
            return score_topics(score, masks, mask_topic, truth, topic)
        except InputError as error:
            troubles.append(str(error))
    raise InputError(troubles[0])
