# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small stand-in for tf2_ros, which is not on PyPI: the same interface, for tests only.

Its listener hears single TransformStamped messages on /tf; those with stamp 0 are static.
"""

from collections import defaultdict
from typing import Any

from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.time import Time

from hyperseg_ros.planner.pose import matrix_of_transform


class TransformException(Exception):  # noqa: N818
    pass


class LookupException(TransformException):
    pass


class ExtrapolationException(TransformException):
    pass


def _fields(matrix: np.ndarray, message: TransformStamped) -> TransformStamped:
    """Write a matrix into a message; half turns, where w is 0, are not asked for."""
    r = matrix[:3, :3]
    w = np.sqrt(max(1 + np.trace(r), 1e-12)) / 2
    q = np.array((r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1])) / (4 * w)
    t = message.transform
    t.rotation.x, t.rotation.y, t.rotation.z, t.rotation.w = *map(float, q), float(w)
    t.translation.x, t.translation.y, t.translation.z = map(float, matrix[:3, 3])
    return message


class Buffer:
    def __init__(self) -> None:
        self._edges: dict[tuple[str, str], list[tuple[int, np.ndarray]]] = defaultdict(list)

    def clear(self) -> None:
        self._edges.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        stamp = transform.header.stamp.sec * 10**9 + transform.header.stamp.nanosec
        key = (transform.header.frame_id, transform.child_frame_id)
        self._edges[key].append((stamp, matrix_of_transform(transform.transform)))
        self._edges[key].sort(key=lambda item: item[0])

    def _edge(self, key: tuple[str, str], stamp: int) -> np.ndarray:
        known = self._edges[key]
        if known[0][0] == 0:
            return known[0][1]
        if stamp == 0:
            return known[-1][1]
        if not known[0][0] <= stamp <= known[-1][0]:
            raise ExtrapolationException(
                f'Requested time {stamp / 1e9:.6f} but the data is from {known[0][0] / 1e9:.6f} '
                f'to {known[-1][0] / 1e9:.6f}'
            )
        index = max(i for i, (time, _) in enumerate(known) if time <= stamp)
        if index + 1 == len(known):
            return known[index][1]
        (t0, a), (t1, b) = known[index], known[index + 1]
        share = (stamp - t0) / max(t1 - t0, 1)
        mean = a + share * (b - a)
        u, _, v = np.linalg.svd(mean[:3, :3])
        mean[:3, :3] = u @ v
        return mean

    def _path(self, target: str, source: str, stamp: int) -> np.ndarray:
        found = {source: np.eye(4)}
        queue = [source]
        while queue and target not in found:
            frame = queue.pop(0)
            for parent, child in list(self._edges):
                other = parent if child == frame else child if parent == frame else None
                if other is None or other in found:
                    continue
                edge = self._edge((parent, child), stamp)
                found[other] = (edge if child == frame else np.linalg.inv(edge)) @ found[frame]
                queue.append(other)
        if target not in found:
            raise LookupException(f'"{target}" passed to lookupTransform does not exist')
        return found[target]

    def lookup_transform(
        self, target: str, source: str, time: Time, timeout: Any = None
    ) -> TransformStamped:
        message = TransformStamped()
        stamp = time.nanoseconds
        newest = [known[-1][0] for known in self._edges.values() if known[0][0]]
        seen = stamp or min(newest, default=0)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(seen, 10**9)
        return _fields(self._path(target, source, stamp), message)

    def lookup_transform_full(
        self, target: str, target_time: Time, source: str, source_time: Time, fixed_frame: str,
        timeout: Any = None,
    ) -> TransformStamped:  # fmt: skip
        fixed_from_source = self._path(fixed_frame, source, source_time.nanoseconds)
        target_from_fixed = self._path(target, fixed_frame, target_time.nanoseconds)
        return _fields(target_from_fixed @ fixed_from_source, TransformStamped())


class TransformListener:
    def __init__(self, buffer: Buffer, node: Any) -> None:
        self._node = node
        self._subscription = node.create_subscription(
            TransformStamped, '/tf', lambda item: buffer.set_transform(item, 'test'), 100
        )

    def unregister(self) -> None:
        self._node.destroy_subscription(self._subscription)
