# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet evaluate`: labelled bags against their truth, and all of them together."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from hyperseg_core.commands.options import Count
from hyperseg_core.errors import InputError
from hyperseg_core.html_report import HtmlReport
from hyperseg_core.html_report import check_report_path
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.metrics import Scores
from hyperseg_ros.fleet.cluster import Cluster
from hyperseg_ros.fleet.cluster import Resources
from hyperseg_ros.fleet.commit import Result
from hyperseg_ros.fleet.inputs import BagInput
from hyperseg_ros.fleet.inputs import find_inputs
from hyperseg_ros.fleet.node_check import NodeQuestions
from hyperseg_ros.fleet.progress import FleetProgress
from hyperseg_ros.fleet.score_bag import BagScores
from hyperseg_ros.fleet.score_bag import ScoreJob
from hyperseg_ros.fleet.score_bag import score_bag
from hyperseg_ros.fleet.signals import terminable
from hyperseg_ros.fleet.staging import default_scratch
from hyperseg_ros.fleet.stats import committed
from hyperseg_ros.fleet.storage import COMMAND_PATIENCE_S
from hyperseg_ros.fleet.storage import Store
from hyperseg_ros.fleet.storage import StoredFile
from hyperseg_ros.fleet.tables import Row
from hyperseg_ros.fleet.tables import print_table
from hyperseg_ros.fleet.tries import Plan
from hyperseg_ros.fleet.tries import run_jobs

_SHOWN = 20
_COLUMNS = ('bag', 'masks', 'mean IoU', 'pixel accuracy', 'trouble')
_CLASS_COLUMNS = ('class', 'IoU', 'of the truth')


def fleet_evaluate_command(
    out: str,
    labels: str,
    truth: str | None = None,
    label_set: str = 'camvid',
    report: Path | None = None,
    all: bool = False,
    address: str | None = None,
    workers: Count | None = None,
    memory_gb: float = 1.5,
    scratch: Path | None = None,
) -> int:
    """Score labelled bags where truth is there; exit status 1 if some could not be scored.

    Args:
        out: Where `hyperseg fleet label` wrote.
        labels: Topic with true ids, in the labelled bags (`--copy`), in their inputs, or in
            bags of `--truth`.
        truth: Where bags with that topic are, under the names of the labelled ones; by default
            the inputs that they were made of.
        label_set: Name or YAML of the label set.
        report: HTML file with the same, which needs no server.
        all: Print every bag, not only the worst.
        address: Of a Ray cluster to join; by default one is started here.
        workers: At most so many bags at once.
        memory_gb: Memory that a bag's task reserves [GB].
        scratch: Folder of each machine for the bags being worked on.
    """
    check_report_path(report)
    known = load_labels(label_set)
    store = Store(out, patience_s=COMMAND_PATIENCE_S)
    results = [result for result in committed(store) if not result.is_failed]
    tags = {file.name: file.tag for file in store.files()}
    truths = None if truth is None else {bag.name: bag for bag in find_inputs([truth]).bags}
    folder = str(scratch.absolute() if scratch else default_scratch())
    jobs: list[ScoreJob] = []
    found: list[BagScores] = []
    for result in sorted(results, key=lambda item: item.name):
        bag = _truth_of(result, truths)
        if bag is None and truths is not None:
            found.append(BagScores(result.name, 'no truth', f'{truth} has no bag of that name'))
            continue
        jobs.append(_job(store, tags, result, bag, labels, label_set, folder))
    if jobs:
        cluster = Cluster(address, workers, Resources(1.0, 0.0, int(memory_gb * 1e9)))
        found += _run(cluster, jobs, store)
    return _tell(out, sorted(found, key=lambda item: item.name), known, report, shows_all=all)


def _truth_of(result: Result, truths: dict[str, BagInput] | None) -> BagInput | None:
    """Return the bag with a result's truth; None: it is in the result, or not at all."""
    if truths is not None:
        return truths.get(result.name)
    if result.content['options'].get('copy'):
        return None
    source = result.content['fleet']['input']
    files = tuple(StoredFile(f['name'], f['size'], f['tag']) for f in source['files'])
    url, folder = source['url'], source['folder']
    url = url if folder else url.rpartition('/')[0]
    return BagInput(result.name, url, folder, files)


def _job(
    store: Store,
    tags: dict[str, str],
    result: Result,
    truth: BagInput | None,
    labels: str,
    label_set: str,
    scratch: str,
) -> ScoreJob:
    last = PurePosixPath(result.name).name
    files = tuple(
        StoredFile(item['name'], item['size'], tags.get(f'{result.name}/{item["name"]}', ''))
        for item in result.files
    )
    masks = BagInput(result.name, f'{store.url.rstrip("/")}/{result.name}', last, files)
    digests = {item['name']: item['sha256'] for item in result.files}
    return ScoreJob(masks, digests, truth, labels, label_set, scratch)


def _run(cluster: Cluster, jobs: list[ScoreJob], store: Store) -> list[BagScores]:
    plan: Plan[ScoreJob, BagScores] = Plan(
        score_bag,
        lambda job: replace(job, attempt=job.attempt + 1),
        lambda answer: answer.reason if answer.status == 'retry' else '',
        lambda job, trouble: BagScores(job.masks.name, 'failed', trouble),
    )
    sizes = {job.masks.name: job.masks.size for job in jobs}
    found = []
    with terminable(), cluster, FleetProgress(len(jobs), sum(sizes.values())) as progress:
        cluster.check(NodeQuestions('', (store.url,), jobs[0].scratch), '')
        for answer in run_jobs(cluster, jobs, plan):
            found.append(answer)
            progress.add(
                num_bytes=sizes[answer.name],
                num_frames=answer.num_masks,
                is_failed=answer.status == 'failed',
            )
    return found


def _tell(
    out: str,
    found: list[BagScores],
    known: LabelSet,
    report: Path | None,
    *,
    shows_all: bool,
) -> int:
    """Print the scores, and write the report; returns the exit status.

    Raises:
        InputError: If no bag was scored.
    """
    scored = [item for item in found if item.status == 'scored']
    if not scored:
        reasons = '; '.join(f'{item.name}: {item.reason}' for item in found[:3])
        msg = f'No bag of {out} could be scored: {reasons}.'
        raise InputError(msg)
    matrix = sum_confusion(item.confusion for item in scored)
    total = Scores.from_confusion(matrix)
    rows = sorted((_row(item) for item in found), key=_worst_first)
    shares = matrix.sum(1) / max(1, int(matrix.sum()))
    classes: list[Row] = [
        [name, iou, f'{100 * share:.3f} %']
        for name, iou, share in zip(known.names, total.per_class_iou, shares, strict=True)
    ]
    console = Console()
    print_table(console, _CLASS_COLUMNS, [*classes, ['mean', total.mean_iou, '']])
    print_table(console, _COLUMNS, rows, limit=None if shows_all else _SHOWN)
    missing = [item for item in found if item.status == 'no truth']
    failed = [item for item in found if item.status in {'failed', 'retry'}]
    text = (
        f'{len(scored)} of {len(found)} bags are scored, {len(missing)} have no truth, '
        f'{len(failed)} failed: mean IoU {total.mean_iou:.4f}, pixel accuracy '
        f'{total.pixel_accuracy:.4f}.'
    )
    console.print(text, highlight=False)
    if report is not None:
        page = HtmlReport(f'{out}: mean IoU {total.mean_iou:.4f}')
        page.text(text)
        page.heading('Classes')
        page.table(_CLASS_COLUMNS, [*classes, ['mean', total.mean_iou, '']])
        page.heading('Confusion')
        page.text('Percent of the truth (rows) that was taken for a class (columns).')
        parts = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        page.matrix('truth', known.names, (*known.names, 'no class'), parts)
        page.heading('Bags, the worst first')
        page.table(_COLUMNS, rows)
        page.write(report)
    return 1 if failed or any(item.problems for item in scored) else 0


def sum_confusion(matrices: Iterable[list[list[int]]]) -> NDArray[np.int64]:
    """Add up confusion matrices (N, N + 1)."""
    return np.sum([np.asarray(matrix, np.int64) for matrix in matrices], axis=0, dtype=np.int64)


def _row(item: BagScores) -> Row:
    if item.status != 'scored':
        return [item.name, 0, float('nan'), float('nan'), item.reason or item.status]
    scores = Scores.from_confusion(np.asarray(item.confusion, np.int64))
    trouble = item.problems[0] if item.problems else ''
    return [item.name, item.num_masks, scores.mean_iou, scores.pixel_accuracy, trouble]


def _worst_first(row: Row) -> float:
    value = row[2]
    assert isinstance(value, float)
    return -1.0 if np.isnan(value) else value
