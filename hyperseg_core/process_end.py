# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a process ends once its GPU is lost: without taking down what lies on it.

After e.g. a failed assertion in a kernel every call of CUDA fails, those of PyTorch's destructors
too, and where these may not raise they abort the process: a CPU could go on no more, and no status
would be told.
"""

import ctypes
import logging
import os
import sys
from typing import Any
from typing import NoReturn

_kept: list[Any] = []
"""What is never destroyed, as its device is lost."""


def keep_for_good(thing: Any) -> None:
    """Keep something that must not be destroyed, not even when Python itself ends."""
    _kept.append(thing)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def end_process(status: int = 0) -> NoReturn:
    """End this process, now that all of ours is released.

    Python would take PyTorch down first, which lasts two seconds on slow machines: as long as a
    node may take altogether.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def leave(status: int = 0) -> NoReturn:
    """End this process, at once where a device was lost and in Python's way elsewhere."""
    if _kept:
        end_process(status)
    sys.exit(status)
