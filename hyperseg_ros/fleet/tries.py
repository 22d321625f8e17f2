# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs on a cluster, each tried a bounded number of times."""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
import heapq
import itertools
import time
from typing import Any
from typing import Generic
from typing import Protocol
from typing import TypeVar

from hyperseg_ros.fleet.cluster import Cluster
from hyperseg_ros.fleet.ray_library import import_ray
from hyperseg_ros.fleet.ray_library import told

_POLL_S = 0.5
_PAUSES_S = (1.0, 10.0, 30.0)
"""Before a job is tried again."""


class Attempted(Protocol):
    """A job that knows how often it was tried."""

    @property
    def attempt(self) -> int:
        """1 at first."""


_Job = TypeVar('_Job', bound=Attempted)
_Answer = TypeVar('_Answer')


@dataclass(frozen=True, slots=True)
class Plan(Generic[_Job, _Answer]):
    """How jobs are run, and what is made of those that are not answered."""

    function: Callable[[_Job], _Answer]
    again: Callable[[_Job], _Job]
    """The next attempt of a job."""
    wants_retry: Callable[[_Answer], str]
    """Why an answer is no result: '' if it is one."""
    given_up: Callable[[_Job, str], _Answer]
    """The answer for a job that was tried often enough."""
    max_attempts: int = 3
    timeout_s: float = 0.0


def run_jobs(
    cluster: Cluster, jobs: Sequence[_Job], plan: Plan[_Job, _Answer]
) -> Iterator[_Answer]:
    """Run jobs, and yield their answers as they come.

    A job whose worker or machine is lost, or whose answer wants another try, is run again
    elsewhere; after `max_attempts` it is given up. Ray itself is told to retry nothing: what
    is killed for its memory it would run again without end.
    """
    ray = import_ray()
    remote = ray.remote(max_retries=0, **cluster.resources.options())(plan.function)
    waiting = deque(jobs)
    later: list[tuple[float, int, _Job]] = []
    running: dict[Any, tuple[_Job, float]] = {}
    order = itertools.count()
    while waiting or later or running:
        while later and later[0][0] <= time.monotonic():
            waiting.appendleft(heapq.heappop(later)[2])
        while waiting and len(running) < max(1, cluster.capacity()):
            job = waiting.popleft()
            running[remote.remote(job)] = job, time.monotonic()
        if not running:
            time.sleep(_POLL_S)
            continue
        for reference in ray.wait(list(running), num_returns=1, timeout=_POLL_S)[0]:
            job, start_s = running.pop(reference)
            answer, trouble = _answer(reference, time.monotonic() - start_s, plan)
            if not trouble:
                yield answer
            elif job.attempt >= plan.max_attempts:
                yield plan.given_up(job, trouble)
            else:
                pause_s = _PAUSES_S[min(job.attempt, len(_PAUSES_S)) - 1]
                entry = time.monotonic() + pause_s, next(order), plan.again(job)
                heapq.heappush(later, entry)


def _answer(reference: Any, elapsed_s: float, plan: Plan[Any, _Answer]) -> tuple[Any, str]:
    """Return a task's answer and why it must be tried again, '' if it need not."""
    ray = import_ray()
    try:
        answer = ray.get(reference)
    except ray.exceptions.RayError as error:
        is_killed = isinstance(error, ray.exceptions.WorkerCrashedError)
        if is_killed and plan.timeout_s and elapsed_s >= plan.timeout_s:
            return None, f'it took longer than {plan.timeout_s:g} s (--timeout)'
        return None, told(error)
    return answer, plan.wants_retry(answer)
