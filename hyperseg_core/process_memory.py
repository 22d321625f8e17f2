# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the process treats memory that was freed; elsewhere than with glibc nothing is done."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
"""Options of glibc's mallopt(3)."""
_LARGEST_MESSAGE_BYTES = 32 * 2**20
"""Larger blocks than this glibc gives back at once, whatever it has learnt."""


def keep_freed_memory() -> None:
    """Let glibc keep what is freed instead of returning it to the kernel.

    A step on the CPU frees and takes the same hundreds of megabytes again; fetching them from the
    kernel each time, page by page, costs it an eighth of its time.
    """
    _set((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1))


def keep_message_memory() -> None:
    """Let glibc keep what images are received into and sent from.

    Otherwise it fetches the pages of every message anew, until the process happens to free a
    block so large that glibc learns to keep smaller ones: these are the limits that it ends with.
    """
    _set(
        (_M_MMAP_THRESHOLD, _LARGEST_MESSAGE_BYTES),
        (_M_TRIM_THRESHOLD, 2 * _LARGEST_MESSAGE_BYTES),
    )


def _set(*options: tuple[int, int]) -> None:
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for option, value in options:
            libc.mallopt(option, value)


def return_freed_memory() -> None:
    """Give back to the kernel what glibc keeps (malloc_trim(3)).

    Building an engine takes and frees several times the memory that running it needs, and a node
    runs for days.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
