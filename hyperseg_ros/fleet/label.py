# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg fleet label`: label many bags; exit status, list of failures, report."""

from collections.abc import Sequence
import contextlib
from dataclasses import replace
from importlib import metadata
import json
import logging
from pathlib import Path
from typing import Any

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.commands.options import Count
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import HyperSegError
from hyperseg_core.html_report import check_report_path
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.fleet.cluster import Cluster
from hyperseg_ros.fleet.cluster import Resources
from hyperseg_ros.fleet.commit import Publication
from hyperseg_ros.fleet.commit import Result
from hyperseg_ros.fleet.commit import find_result
from hyperseg_ros.fleet.commit import find_results
from hyperseg_ros.fleet.inputs import find_inputs
from hyperseg_ros.fleet.inputs import listed
from hyperseg_ros.fleet.inputs import with_digests
from hyperseg_ros.fleet.job import Job
from hyperseg_ros.fleet.job import Labelling
from hyperseg_ros.fleet.job import Outcome
from hyperseg_ros.fleet.node_check import NodeQuestions
from hyperseg_ros.fleet.places import check_apart
from hyperseg_ros.fleet.places import check_writable
from hyperseg_ros.fleet.progress import FleetProgress
from hyperseg_ros.fleet.signals import terminable
from hyperseg_ros.fleet.staging import default_scratch
from hyperseg_ros.fleet.staging import sweep
from hyperseg_ros.fleet.storage import COMMAND_PATIENCE_S
from hyperseg_ros.fleet.storage import Store
from hyperseg_ros.fleet.tries import Plan
from hyperseg_ros.fleet.tries import run_jobs
from hyperseg_ros.fleet.worker import label_one

_logger = logging.getLogger(__name__)
REPORT = 'fleet.jsonl'
_SHOWN = 40


def fleet_label_command(
    *paths: str,
    checkpoint: str = 'default',
    topics: list[str] | None = None,
    engine: str = 'auto',
    device: Device = 'cpu',
    precision: str = 'f32',
    size: ImageSize | None = None,
    confidence: bool = False,
    overlay: bool = False,
    compressed: bool = False,
    copy: bool = False,
    storage: str = 'mcap',
    zstd: bool = False,
    address: str | None = None,
    workers: Count | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    memory_gb: float = 1.5,
    attempts: Count = 3,
    timeout: float = 0.0,
    scratch: Path | None = None,
    retry_failed: bool = False,
    report: Path | None = None,
) -> int:
    """Label many bags on one machine or a Ray cluster; exit status 1 if any failed.

    Args:
        paths: Where bags are (folders at any depth, bags, patterns, lists in .txt files; local or
            s3://, gs:// and whatever fsspec knows), and, last, where the labelled bags go.
        checkpoint: A file that every machine has, or name of a shipped checkpoint.
        topics: Topics to label; by default all with a camera's images.
        engine: auto, onnxruntime, openvino, torch, or with `--device cuda` tensorrt.
        device: cpu, so that the same bag gives the same bytes again; auto, gpu, cuda.
        precision: f32, bf16, f16 or auto.
        size: Network input height and width [px]; by default it follows the images.
        confidence: Write the confidence of each mask too.
        overlay: Write overlays too.
        compressed: Write masks as PNG too.
        copy: Copy the input's other topics.
        storage: mcap or sqlite3.
        zstd: Compress the labelled bag (mcap): a fiftieth or less of its masks is left.
        address: Of a Ray cluster to join (auto, HOST:PORT, ray://HOST:PORT); by default one is
            started here.
        workers: At most so many bags at once; by default as many as the cluster has room for.
        cpus: CPUs of a bag's task, and threads of its engine.
        gpus: GPUs of a bag's task; 0.5 lets two share one.
        memory_gb: Memory that a bag's task reserves [GB]; 0 reserves none.
        attempts: A bag whose worker was killed so often is given up.
        timeout: A bag may take so long [s]; 0 for any time.
        scratch: Folder of each machine for the bags being worked on; by default in its
            temporary one.
        retry_failed: Try again what failed in an earlier run.
        report: File for a JSON line per bag; by default fleet.jsonl among the results.
    """
    if len(paths) < 2:
        msg = (
            f'Expected where bags are and, last, where to write: `hyperseg fleet label IN OUT`, '
            f'not {" ".join(paths) or "nothing"}.'
        )
        raise ConfigError(msg)
    *sources, out = [*listed(paths[:-1]), paths[-1]]
    resources = _resources(cpus, gpus, memory_gb, timeout)
    check_report_path(report)
    store = Store(out, patience_s=COMMAND_PATIENCE_S)
    check_apart(sources, store)
    network = load_checkpoint(checkpoint)
    found = find_inputs(sources)
    if found.num_results:
        _logger.info('%d labelled bags among the inputs are left out.', found.num_results)
    check_writable(store)
    if report is not None:
        check_writable(Store(str(report.absolute().parent)))
    labelling = Labelling(
        out=store.url,
        checkpoint=str(Path(checkpoint).absolute()) if Path(checkpoint).exists() else checkpoint,
        checkpoint_digest=network.digest,
        package=metadata.version('hyperseg_ros'),
        engine=engine,
        device=device,
        precision=precision,
        size=size,
        topics=tuple(topics) if topics is not None else None,
        options=LabelOptions(confidence, overlay, compressed, copy, storage, zstd),
        scratch=str(scratch.absolute() if scratch else default_scratch()),
        num_threads=max(1, int(cpus)),
        timeout_s=timeout,
    )
    bags = with_digests(found.bags)
    jobs = [Job(bag, labelling.key(bag), labelling) for bag in bags]
    outcomes = _known(jobs, find_results(store), retry_failed=retry_failed)
    left = [job for job in jobs if job.bag.name not in outcomes]
    if outcomes:
        _logger.info('%d of %d bags were finished before.', len(outcomes), len(jobs))
    with _ReportFile(report, store, outcomes):
        if left:
            cluster = Cluster(address, workers, resources)
            _run(cluster, left, labelling, attempts, outcomes)
    return _told(outcomes)


def _resources(cpus: float, gpus: float, memory_gb: float, timeout: float) -> Resources:
    """Check what a task may ask for.

    Raises:
        ConfigError: If a number is out of its range.
    """
    limits = {'--cpus': (cpus, 0.01), '--gpus': (gpus, 0.0), '--memory-gb': (memory_gb, 0.0)}
    limits['--timeout'] = timeout, 0.0
    for name, (value, least) in limits.items():
        if not least <= value < 1e9:
            msg = f'{name} is {value}, but must be {least} or more.'
            raise ConfigError(msg)
    return Resources(cpus, gpus, int(memory_gb * 1e9))


def _known(
    jobs: Sequence[Job], results: dict[str, Result], *, retry_failed: bool
) -> dict[str, Outcome]:
    """Return what became of bags in earlier runs with the same inputs and options."""
    known: dict[str, Outcome] = {}
    for job in jobs:
        result = results.get(job.bag.name)
        if result is None or result.key != job.key or (result.is_failed and retry_failed):
            continue
        if result.is_failed:
            reason = result.content['reason']
            known[job.bag.name] = Outcome(name=job.bag.name, status='failed', reason=reason)
        else:
            known[job.bag.name] = _done(job, result)
    return known


def _done(job: Job, result: Result) -> Outcome:
    """Return the outcome of a bag that another run or worker has labelled."""
    outcome = Outcome(name=job.bag.name, status='done', num_bytes=job.bag.size)
    return outcome.counted(result.content)


def _run(
    cluster: Cluster,
    jobs: list[Job],
    labelling: Labelling,
    attempts: int,
    outcomes: dict[str, Outcome],
) -> None:
    """Label what is left, and note each outcome as it comes."""
    sizes = {job.bag.name: job.bag.size for job in jobs}
    plan: Plan[Job, Outcome] = Plan(
        label_one,
        lambda job: replace(job, attempt=job.attempt + 1),
        lambda outcome: outcome.reason if outcome.status == 'retry' else '',
        _given_up,
        attempts,
        labelling.timeout_s,
    )
    with terminable(), cluster:
        urls = {labelling.out, *(job.bag.url for job in jobs[:1])}
        asked = NodeQuestions(labelling.checkpoint, tuple(sorted(urls)), labelling.scratch)
        cluster.check(asked, labelling.checkpoint_digest)
        with FleetProgress(len(jobs), sum(sizes.values())) as progress:
            # The largest first: none is left over while all other workers are idle.
            for outcome in run_jobs(cluster, sorted(jobs, key=_largest_first), plan):
                outcomes[outcome.name] = outcome
                progress.add(
                    num_bytes=sizes[outcome.name],
                    num_frames=outcome.num_labelled,
                    is_failed=outcome.status == 'failed',
                )
                if outcome.status == 'failed':
                    _logger.error('%s: %s', outcome.name, outcome.reason)
        with contextlib.suppress(HyperSegError):
            cluster.each_node(_sweep, labelling.scratch)


def _largest_first(job: Job) -> tuple[int, str]:
    return -job.bag.size, job.bag.name


def _sweep(scratch: str) -> None:
    sweep(Path(scratch), older_than_s=0.0)


def _given_up(job: Job, trouble: str) -> Outcome:
    """Record that a bag is given up, if its storage can be reached and holds no result of it."""
    reason = f'given up after {job.attempt} attempts: {trouble}'
    store = Store(job.labelling.out, patience_s=COMMAND_PATIENCE_S)
    with contextlib.suppress(HyperSegError, OSError):
        # Its worker may have died after the commit, or another run may have labelled it.
        done = find_result(store, job.bag.name)
        if done is not None and done.key == job.key:
            return _done(job, done)
        Publication(store, job.bag.name, job.key).fail(reason, {'attempt': job.attempt})
    return Outcome(
        name=job.bag.name, status='failed', reason=reason, attempt=job.attempt,
        num_bytes=job.bag.size,
    )  # fmt: skip


class _ReportFile:
    """Writes a line for each bag at the end, also of a run that was interrupted."""

    def __init__(self, path: Path | None, store: Store, outcomes: dict[str, Outcome]) -> None:
        self._path, self._store, self._outcomes = path, store, outcomes

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        lines = [json.dumps(self._outcomes[name].line()) for name in sorted(self._outcomes)]
        content = ''.join(f'{line}\n' for line in lines).encode()
        try:
            if self._path is not None:
                Store(str(self._path.absolute().parent)).write(self._path.name, content)
            else:
                self._store.write(REPORT, content)
        except HyperSegError as trouble:
            _logger.error('The report is not written: %s', trouble)
        if isinstance(error, KeyboardInterrupt):
            _logger.warning('Interrupted; the same command goes on where it stopped.')


def _told(outcomes: dict[str, Outcome]) -> int:
    """List what failed; returns the exit status."""
    failed = [outcome for _, outcome in sorted(outcomes.items()) if outcome.status == 'failed']
    whole = [outcome for outcome in outcomes.values() if outcome.status != 'failed']
    images = sum(outcome.num_labelled for outcome in whole)
    problems = sum(outcome.num_problems for outcome in whole)
    _logger.info(
        '%d of %d bags are labelled: %d images, %d problems.',
        len(whole), len(outcomes), images, problems,
    )  # fmt: skip
    for outcome in failed[:_SHOWN]:
        _logger.warning('  %s: %s', outcome.name, outcome.reason)
    if len(failed) > _SHOWN:
        _logger.warning('  and %d more, which the report lists.', len(failed) - _SHOWN)
    if failed:
        _logger.warning('Try them again with --retry-failed.')
    return 1 if failed else 0
