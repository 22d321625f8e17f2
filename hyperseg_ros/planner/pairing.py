# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which mask of each camera belongs to a cloud, and whether to wait for a better one.

A mask comes after its frame by the time that the network takes, a cloud at once: so clouds wait,
for a bounded time, until a mask of each camera has come that is not older than they are.
"""

from collections import OrderedDict
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic
from typing import TypeVar

Cloud = TypeVar('Cloud')
Mask = TypeVar('Mask')

MAX_CLOUDS = 1000
MAX_MIB = 256
"""Most that waits, beside `wait_s`: ten seconds of any sensor, and never all of the memory."""
_MAX_MASKS = 30


def num_beyond(sizes: Iterable[int]) -> int:
    """Return how many of the oldest clouds must go, so that the others may wait.

    Args:
        sizes: Of the clouds [bytes], the oldest first; the last one always stays.
    """
    newest_first = list(sizes)[::-1]
    left = 0
    for count, size in enumerate(newest_first):
        left += size
        if count and (count >= MAX_CLOUDS or left > MAX_MIB << 20):
            return len(newest_first) - count
    return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRules:
    """When a mask belongs to a cloud."""

    is_exact: bool = False
    """Whether stamps must be equal; else the nearest mask is taken."""
    max_difference_s: float = 0.1
    """How far apart the nearest may be."""
    wait_s: float = 0.5
    """How long a cloud waits for its masks."""


@dataclass(frozen=True, slots=True)
class Paired(Generic[Cloud, Mask]):
    """A cloud and what there is to paint it with."""

    cloud: Cloud
    stamp_ns: int
    masks: dict[int, tuple[Mask, int]]
    """By camera: mask, and its stamp with the camera's offset [ns]."""
    nearest_s: float | None
    """How far the nearest mask of any camera is; None where there is none."""


class StampPairer(Generic[Cloud, Mask]):
    """Keeps clouds and masks until they are paired."""

    def __init__(self, offsets_s: Sequence[float], rules: PairRules) -> None:
        """Start empty.

        Args:
            offsets_s: For each camera, what is added to its stamps [s].
            rules: When a mask belongs to a cloud.
        """
        self.rules = rules
        self._offsets_ns = [round(1e9 * offset) for offset in offsets_s]
        self._masks: list[OrderedDict[int, Mask]] = [OrderedDict() for _ in offsets_s]
        self._clouds: list[tuple[Cloud, int, float, int]] = []

    def clear(self) -> int:
        """Forget everything; returns how many clouds waited."""
        count = len(self._clouds)
        self._clouds.clear()
        for masks in self._masks:
            masks.clear()
        return count

    def add_mask(self, camera: int, mask: Mask, stamp_ns: int) -> None:
        """Keep a mask."""
        masks = self._masks[camera]
        masks[stamp_ns + self._offsets_ns[camera]] = mask
        masks.move_to_end(stamp_ns + self._offsets_ns[camera])
        if len(masks) > _MAX_MASKS:
            masks.popitem(last=False)

    def add_cloud(self, cloud: Cloud, stamp_ns: int, now_s: float, size: int = 0) -> int:
        """Keep a cloud of a size [bytes]; returns how many older ones had to go."""
        self._clouds.append((cloud, stamp_ns, now_s, size))
        count = num_beyond(item[-1] for item in self._clouds)
        del self._clouds[:count]
        return count

    def ready(self, now_s: float) -> list[Paired[Cloud, Mask]]:
        """Return the clouds that need wait no longer, the oldest first."""
        clouds, self._clouds = self._clouds, []
        found = []
        for item in clouds:
            cloud, stamp_ns, came_s, _ = item
            is_late = now_s - came_s >= self.rules.wait_s
            if is_late or all(self._is_settled(masks, stamp_ns) for masks in self._masks):
                found.append(self._paired(cloud, stamp_ns))
            else:
                self._clouds.append(item)
        return found

    @property
    def is_waiting(self) -> bool:
        """Whether a cloud waits."""
        return bool(self._clouds)

    def _is_settled(self, masks: 'OrderedDict[int, Mask]', stamp_ns: int) -> bool:
        """Tell whether no mask that is still to come could be nearer; they come in order."""
        if stamp_ns in masks:
            return True
        if not masks or self.rules.is_exact:
            return False
        newest = next(reversed(masks))
        return newest >= stamp_ns

    def _paired(self, cloud: Cloud, stamp_ns: int) -> Paired[Cloud, Mask]:
        allowed_ns = 0 if self.rules.is_exact else round(1e9 * self.rules.max_difference_s)
        chosen: dict[int, tuple[Mask, int]] = {}
        nearest_ns: int | None = None
        for camera, masks in enumerate(self._masks):
            if not masks:
                continue
            stamp = min(masks, key=lambda known: abs(known - stamp_ns))
            away_ns = abs(stamp - stamp_ns)
            nearest_ns = away_ns if nearest_ns is None else min(nearest_ns, away_ns)
            if away_ns <= allowed_ns:
                chosen[camera] = (masks[stamp], stamp)
        nearest_s = None if nearest_ns is None else nearest_ns / 1e9
        return Paired(cloud, stamp_ns, chosen, nearest_s)
