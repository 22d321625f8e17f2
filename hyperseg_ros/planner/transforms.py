# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where frames are at a stamp, from TF; and, in words, why that is not known."""

from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_ros.planner.pose import Matrix
from hyperseg_ros.planner.pose import matrix_of_transform

INSTALL = 'apt install ros-$ROS_DISTRO-tf2-ros-py'


class NoTransformError(InputError):
    """TF does not tell a transform, now or at all."""


class FrameIdError(InputError):
    """A message does not say in which frame it is."""


def check_frame_id(frame_id: str, what: str) -> None:
    """Check that a message says in which frame it is.

    Raises:
        FrameIdError: If not.
    """
    if not frame_id:
        msg = (
            f'the header of {what} has an empty frame_id, so TF cannot be asked; let its driver '
            f'set one, or set `camera_pose`'
        )
        raise FrameIdError(msg)


class Transforms:
    """Asks TF, never waiting for it: the executor that would bring it is the one that asks."""

    def __init__(self, node: Node, remedy: str = 'set `camera_pose`') -> None:
        """Listen to TF.

        Args:
            node: The node.
            remedy: What to type where TF has no such transform.

        Raises:
            ConfigError: If tf2_ros is not installed.
        """
        try:
            import tf2_ros
        except ImportError as err:
            msg = (
                f'TF needs tf2_ros, which is not installed: {INSTALL}. Or give the parameter '
                f'`camera_pose`: then no TF is asked.'
            )
            raise ConfigError(msg) from err
        self._node, self._remedy = node, remedy
        self._errors: Any = tf2_ros.TransformException
        self._buffer: Any = tf2_ros.Buffer()
        self._listener: Any = tf2_ros.TransformListener(self._buffer, node)
        # A bag that begins anew: what is known is of the future then, and would be kept.
        threshold = JumpThreshold(
            min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True
        )
        self._jumps = node.get_clock().create_jump_callback(
            threshold, post_callback=lambda _: self._buffer.clear()
        )

    def close(self) -> None:
        """Stop listening."""
        self._jumps.unregister()
        self._listener.unregister()

    def matrix(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """Return the matrix from one frame to another, at a stamp.

        Raises:
            NoTransformError: If it is not known.
        """
        try:
            time = Time(nanoseconds=stamp_ns)
            found = self._buffer.lookup_transform(target, source, time)
        except (self._errors, ValueError, OverflowError) as err:
            raise NoTransformError(self._words(target, source, stamp_ns, err)) from err
        return matrix_of_transform(found.transform)

    def matrix_between(
        self, target: str, target_ns: int, source: str, source_ns: int, fixed_frame: str
    ) -> Matrix:
        """Return the matrix from a frame at a stamp to another at another stamp.

        Where TF does not know the fixed frame at all, motion is left out, with a warning.

        Args:
            target: Frame of the result, as it was at `target_ns`.
            target_ns: Its stamp.
            source: Frame of the points, as it was at `source_ns`.
            source_ns: Its stamp.
            fixed_frame: A frame that stands still meanwhile; '': the frames are taken to be fixed
                to each other.

        Raises:
            NoTransformError: If it is not known.
        """
        if not fixed_frame or target_ns == source_ns:
            return self.matrix(target, source, source_ns)
        try:
            found = self._buffer.lookup_transform_full(
                target, Time(nanoseconds=target_ns), source, Time(nanoseconds=source_ns),
                fixed_frame,
            )  # fmt: skip
        except (self._errors, ValueError, OverflowError) as err:
            if not self._knows(fixed_frame, source):
                self._node.get_logger().warning(
                    f'TF knows no {fixed_frame!r}, so the motion between points and masks is left '
                    f'out; set fixed_frame to a frame that stands still.',
                    throttle_duration_sec=60.0,
                )
                return self.matrix(target, source, source_ns)
            raise NoTransformError(self._words(target, source, source_ns, err)) from err
        return matrix_of_transform(found.transform)

    def _knows(self, target: str, source: str) -> bool:
        """Tell whether two frames hang together at any time."""
        try:
            self._buffer.lookup_transform(target, source, Time())
        except self._errors:
            return False
        return True

    def _words(self, target: str, source: str, stamp_ns: int, error: BaseException) -> str:
        """Say which frames, and how much older or newer the newest known transform is."""
        told = ' '.join(str(error).split()).rstrip('.')
        words = f'no TF from {source!r} to {target!r} at {stamp_ns / 1e9:.3f} s: {told}'
        try:
            newest = self._buffer.lookup_transform(target, source, Time())
        except self._errors:
            return f'{words}; {self._remedy}'
        stamp = newest.header.stamp
        known_s = stamp.sec + stamp.nanosec / 1e9
        if not known_s:
            return words
        behind_s = stamp_ns / 1e9 - known_s
        side = 'older' if behind_s > 0 else 'newer'
        return f'{words}; the newest known is {abs(behind_s):.2f} s {side}'
