# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How our processes leave: out of the graph, within a bounded time, with a status of their own."""

from collections.abc import Iterator
import contextlib
import ctypes
import time

import rclpy
from rclpy.node import Node

_LEAVE_S = 0.5
"""How long DDS may take to leave."""
_SIGEV_THREAD = 2


class _EventNotification(ctypes.Structure):
    """`struct sigevent` of Linux on 64 bits: what a timer does when it ends (timer_create(2))."""

    _fields_ = (
        ('value', ctypes.c_void_p),
        ('signal', ctypes.c_int),
        ('notify', ctypes.c_int),
        ('function', ctypes.c_void_p),
        ('attributes', ctypes.c_void_p),
        ('padding', ctypes.c_byte * 32),
    )


class _TimerTimes(ctypes.Structure):
    """`struct itimerspec`: interval, then first expiry; seconds and nanoseconds of each."""

    _fields_ = (
        ('interval_s', ctypes.c_long),
        ('interval_ns', ctypes.c_long),
        ('first_s', ctypes.c_long),
        ('first_ns', ctypes.c_long),
    )


@contextlib.contextmanager
def left_within(seconds: float = _LEAVE_S, *, status: int = 0) -> Iterator[None]:
    """End this process with `status` if the block takes longer, whatever it is waiting for.

    Fast DDS with TCP (`LARGE_DATA`) now and then never returns from removing its participant: it
    waits for a lock that a thread reading from a peer holds (seen with 3.2; mended in later
    releases by eProsima/Fast-DDS #6066). rclpy keeps Python's lock meanwhile, so neither a thread
    nor a signal handler of ours could end it; a timer of the system can. Elsewhere than on Linux
    nothing is done.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'timer_create'):
        yield
        return
    leave = ctypes.cast(libc._exit, ctypes.c_void_p)  # called with `value`, the status
    event = _EventNotification(value=status, notify=_SIGEV_THREAD, function=leave)
    timer = ctypes.c_void_p()
    if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
        yield  # without a timer, as it was before there was one
        return
    times = _TimerTimes(first_s=int(seconds), first_ns=int(seconds % 1 * 1e9))
    libc.timer_settime(timer, 0, ctypes.byref(times), None)
    try:
        yield
    finally:
        libc.timer_delete(timer)


def leave_graph(node: Node, *, status: int = 0) -> None:
    """Destroy the process's node and shut rclpy down; the last thing that a process does.

    If that does not return, the process ends with `status`: what is to be said or written must be
    done before.
    """
    with left_within(status=status):
        node.destroy_node()
        rclpy.try_shutdown()
