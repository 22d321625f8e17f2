# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ray, imported where it is used: it is an optional part, and would report its use."""

import logging
import os
from typing import Any


def import_ray() -> Any:
    """Import Ray, silenced: it would report its use to a host of its own."""
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    logging.getLogger('ray').setLevel(logging.ERROR)
    import ray
    import ray.exceptions

    return ray


def told(error: BaseException) -> str:
    """Return what an error of Ray says, in a line; its own are pages long."""
    ray = import_ray()
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return 'its worker was killed, as the machine ran out of memory'
    if isinstance(error, ray.exceptions.WorkerCrashedError):
        return 'its worker was killed'
    if isinstance(error, ray.exceptions.RayTaskError):  # the last line of a traceback
        return str(error).strip().rpartition('\n')[2]
    return f'{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}'
