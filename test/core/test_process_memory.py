# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory between messages: what was freed is used again, not fetched from the kernel anew."""

import platform
import subprocess
import sys

import pytest

# A message of a megabyte is there several times: serialised, in C and in Python.
MESSAGES = """
import resource
import numpy as np
{setting}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(60):
    if turn == 10:
        start = faults()
    copies = [np.ones(1_000_000, np.uint8) for _ in range(4)]
    del copies
print(faults() - start)
"""
KEEP = 'from hyperseg_core.process_memory import keep_message_memory; keep_message_memory()'


def page_faults(setting: str) -> int:
    code = MESSAGES.format(setting=setting)
    done = subprocess.run([sys.executable, '-c', code], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='an option of glibc')
def test_messages_use_the_memory_of_those_before() -> None:
    anew = page_faults('')  # 50 turns of 4 megabytes, in pages of 4 KiB: some 50 000
    assert page_faults(KEEP) < min(anew, 100)
