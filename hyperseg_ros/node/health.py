# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera's stream has been doing: counts, stage times, and why nothing comes out."""

from collections import Counter
from collections import deque
from dataclasses import dataclass
from dataclasses import field
import threading
import time

import numpy as np

_WINDOW = 300
_RATE_WINDOW = 4_000
"""Moments kept for rates: two seconds of any camera."""
_SILENCE_S = 2.0


def remedy_of_loss(publisher: str) -> str:
    """Say what to do about messages of a publisher that get lost between processes."""
    return (
        f'start {publisher} with FASTDDS_DEFAULT_PROFILES_FILE naming the config/fastdds.xml of '
        f'hyperseg_ros: its shared memory has room for images'
    )


REMEDY_OF_LOSS = remedy_of_loss('the camera')


@dataclass(slots=True)
class Snapshot:
    """A moment of a stream's health."""

    received: int
    published: int
    drops: dict[str, int]
    rate_in_hz: float
    rate_out_hz: float
    stages_ms: dict[str, tuple[float, float, float]]
    """p50, p95, p99 by stage; `age` is the time from stamp to publication."""
    is_silent: bool
    recent_drops: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Frames that were sent and never arrived whole; they are not among those received."""
    recent_lost: int = 0
    unread: int = 0
    """Frames that newer ones replaced before this process got to read them."""
    problems: dict[str, str] = field(default_factory=dict)
    """The last that was said of each cause of drops."""

    def commonest_drop(self, what: str) -> str:
        """Say how many were dropped in the last second for the commonest cause, and why."""
        cause, count = self.recent_drops.most_common(1)[0]
        problem = self.problems.get(cause, '').rstrip('.')
        detail = f': {problem}' if problem else ''
        return f'{count} {what} in the last second, {cause}{detail}'


class StreamHealth:
    """Counts for one camera; every method may be called from any thread."""

    def __init__(self) -> None:
        """Start counting."""
        self._lock = threading.Lock()
        self._received = self._published = self._missing = self._lost = self._told_lost = 0
        self._drops: Counter[str] = Counter()
        self._recent_drops: Counter[str] = Counter()
        self._arrivals: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._departures: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._stages: dict[str, deque[float]] = {}
        self._problems: dict[str, str] = {}
        self._last_output_s = time.monotonic()

    def start_waiting(self) -> None:
        """Count silence from now on."""
        with self._lock:
            self._last_output_s = time.monotonic()

    def frame_received(self, missing: int = 0) -> None:
        """Count a frame that arrived, and those missing between it and the one before."""
        with self._lock:
            self._received += 1
            self._missing += missing
            self._arrivals.append(time.monotonic())

    def frames_lost(self, count: int) -> None:
        """Count frames that the middleware lost on the way."""
        with self._lock:
            self._lost += count

    def frame_dropped(self, cause: str, problem: str = '') -> None:
        """Count a frame that is not published, by cause."""
        with self._lock:
            self._drops[cause] += 1
            self._recent_drops[cause] += 1
            if problem:
                self._problems[cause] = problem

    def frame_published(self) -> None:
        """Count a published frame."""
        with self._lock:
            self._published += 1
            self._last_output_s = time.monotonic()
            self._departures.append(self._last_output_s)

    def add_stages(self, **stages_s: float) -> None:
        """Add durations of stages [s]: `wait`, `decode`, `segment`, `publish`, `age`."""
        with self._lock:
            for stage, elapsed_s in stages_s.items():
                window = self._stages.setdefault(stage, deque(maxlen=_WINDOW))
                window.append(1000 * elapsed_s)

    def snapshot(self) -> Snapshot:
        """Return the state and start a new period of recent drops."""
        with self._lock:
            now_s = time.monotonic()
            stages = {}
            for stage, window in self._stages.items():
                p50, p95, p99 = np.percentile(window, (50, 95, 99))
                stages[stage] = (float(p50), float(p95), float(p99))
            recent, self._recent_drops = self._recent_drops, Counter()
            told, self._told_lost = self._told_lost, self._lost
            return Snapshot(
                received=self._received,
                published=self._published,
                drops=dict(self._drops),
                rate_in_hz=_rate(self._arrivals, now_s),
                rate_out_hz=_rate(self._departures, now_s),
                stages_ms=stages,
                is_silent=now_s - self._last_output_s > _SILENCE_S,
                recent_drops=recent,
                lost=self._lost,
                recent_lost=self._lost - told,
                # What the middleware lost is missing, too.
                unread=max(0, self._missing - self._lost),
                problems=dict(self._problems),
            )


def _rate(times: deque[float], now_s: float) -> float:
    """Return events per second over the last two seconds."""
    return sum(1 for moment in times if now_s - moment < 2.0) / 2.0


def values(snapshot: Snapshot, engine: str) -> list[tuple[str, str]]:
    """Return a snapshot as the keys and values of diagnostics."""
    found = [
        ('engine', engine),
        ('rate in [Hz]', f'{snapshot.rate_in_hz:.1f}'),
        ('rate out [Hz]', f'{snapshot.rate_out_hz:.1f}'),
        ('received', str(snapshot.received)),
        ('published', str(snapshot.published)),
        ('dropped', str(sum(snapshot.drops.values()))),
    ]
    if snapshot.lost:
        found.append(('lost on the way', str(snapshot.lost)))
    if snapshot.unread:
        found.append(('replaced unread', str(snapshot.unread)))
    found += [(f'dropped, {cause}', str(count)) for cause, count in snapshot.drops.items()]
    for stage, (p50, p95, p99) in snapshot.stages_ms.items():
        found.append((f'{stage} p50/p95/p99 [ms]', f'{p50:.1f} / {p95:.1f} / {p99:.1f}'))
    return found


def cause_of_silence(
    snapshot: Snapshot,
    *,
    topic: str,
    num_publishers: int,
    similar: list[str],
    wrong_type: str,
    qos_problem: str,
    is_building: bool,
    failure: str,
) -> str:
    """Say in one line why a camera has no output, and what to do."""
    if failure:
        return f'the engine failed: {failure}'
    if is_building:
        return 'the model is still building; the first time takes longest'
    if wrong_type:
        return f'{topic} carries {wrong_type}'
    if qos_problem:
        return (
            f"the publisher's QoS does not match on {topic}: {qos_problem}; set "
            f'qos_overrides.{topic}.subscription.reliability to best_effort'
        )
    if num_publishers == 0:
        if similar:
            return (
                f'nothing publishes on {topic}; topics with images: {", ".join(similar)}; remap '
                f'`image` to the camera'
            )
        return (
            f'nothing publishes on {topic}, nor images on any other topic; start the camera, or '
            f'give it the same ROS_DOMAIN_ID as this process; one that runs with '
            f'FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA is only seen by others that do'
        )
    if not snapshot.rate_in_hz and snapshot.recent_lost:
        return f'{snapshot.recent_lost} frame(s) got lost in the last second; {REMEDY_OF_LOSS}'
    if not snapshot.rate_in_hz and not snapshot.recent_drops:
        return f'{num_publishers} publisher(s) on {topic}, but no frame arrives'
    if snapshot.recent_drops:
        return snapshot.commonest_drop('frame(s) dropped')
    return 'frames arrive and are being worked on'
