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
_SILENCE_S = 2.0


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
    last_problem: str
    is_silent: bool
    recent_drops: Counter[str] = field(default_factory=Counter)


class StreamHealth:
    """Counts for one camera; every method may be called from any thread."""

    def __init__(self) -> None:
        """Start counting."""
        self._lock = threading.Lock()
        self._received = self._published = 0
        self._drops: Counter[str] = Counter()
        self._recent_drops: Counter[str] = Counter()
        self._arrivals: deque[float] = deque(maxlen=_WINDOW)
        self._departures: deque[float] = deque(maxlen=_WINDOW)
        self._stages: dict[str, deque[float]] = {}
        self._last_problem = ''
        self._last_output_s = time.monotonic()

    def start_waiting(self) -> None:
        """Count silence from now on."""
        with self._lock:
            self._last_output_s = time.monotonic()

    def frame_received(self) -> None:
        """Count a frame that arrived."""
        with self._lock:
            self._received += 1
            self._arrivals.append(time.monotonic())

    def frame_dropped(self, cause: str, problem: str = '') -> None:
        """Count a frame that is not published, by cause."""
        with self._lock:
            self._drops[cause] += 1
            self._recent_drops[cause] += 1
            if problem:
                self._last_problem = problem

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
            return Snapshot(
                received=self._received,
                published=self._published,
                drops=dict(self._drops),
                rate_in_hz=_rate(self._arrivals, now_s),
                rate_out_hz=_rate(self._departures, now_s),
                stages_ms=stages,
                last_problem=self._last_problem,
                is_silent=now_s - self._last_output_s > _SILENCE_S,
                recent_drops=recent,
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
        # A process with LARGE_DATA does not even find those without it.
        return (
            f'nothing publishes on {topic}, nor images on any other topic; start the camera, or '
            f'give it the same ROS_DOMAIN_ID and FASTDDS_BUILTIN_TRANSPORTS as this process'
        )
    if not snapshot.rate_in_hz and not snapshot.recent_drops:
        return (
            f'{num_publishers} publisher(s) on {topic}, but no frame arrives; large messages '
            f'between processes need FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA in both'
        )
    if snapshot.recent_drops:
        cause, count = snapshot.recent_drops.most_common(1)[0]
        detail = f': {snapshot.last_problem}' if snapshot.last_problem else ''
        return f'{count} frame(s) dropped in the last second, {cause}{detail}'
    return 'frames arrive and are being worked on'
