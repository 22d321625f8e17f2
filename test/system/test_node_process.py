# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How our processes leave: in time, and leaving nothing behind."""

import subprocess
import sys
import time

import pytest

pytest.importorskip('rclpy')

# PyDLL keeps Python's lock during the call, as rclpy does while it leaves the graph.
_HANGING = """
import ctypes
import sys
from hyperseg_ros.process.leaving import left_within
with left_within(0.5, status=int(sys.argv[1])):
    ctypes.PyDLL(None).sleep(60)
"""


@pytest.mark.parametrize('status', [0, 1])
def test_process_that_hangs_with_pythons_lock_ends_in_time_with_its_status(status: int) -> None:
    start_s = time.monotonic()
    done = subprocess.run([sys.executable, '-c', _HANGING, str(status)], timeout=30)
    assert done.returncode == status
    assert time.monotonic() - start_s < 20


def test_process_that_leaves_in_time_goes_on() -> None:
    code = """
import time
from hyperseg_ros.process.leaving import left_within
with left_within(0.2):
    pass
time.sleep(0.6)
exit(3)
"""
    assert subprocess.run([sys.executable, '-c', code], timeout=30).returncode == 3
