# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of `gpu_check` in processes of their own, which are ended when their time is up."""

from collections.abc import Sequence
from dataclasses import dataclass
import os
from pathlib import Path
import re
import signal
import subprocess
import tempfile
import time
from typing import Any

_TAIL = 1500
"""Characters that are reported of what a process said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended."""

    exit_status: int | None
    """None where it was ended as its time was up."""
    seconds: float
    said: str
    """Both its outputs."""

    def report(self) -> dict[str, Any]:
        """Return what is worth reporting."""
        ended = 'out of time' if self.exit_status is None else self.exit_status
        return {
            'exit_status': ended, 'seconds': round(self.seconds, 1), 'said': self.said[-_TAIL:],
            'is_well': self.exit_status == 0,
        }  # fmt: skip


def run_child(
    command: Sequence[str], limit_s: float, folder: Path, environment: dict[str, str]
) -> Outcome:
    """Run a process and all that it starts; what it said is kept however it ends."""
    start_s = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        status: int | None = None
        try:
            status = child.wait(max(limit_s, 1.0))
        except subprocess.TimeoutExpired:
            pass
        finally:
            if child.poll() is None:  # an interrupted check leaves none behind, either
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        said.seek(0)
        text = said.read().decode(errors='replace')
    return Outcome(status, time.monotonic() - start_s, text)


def counts_of_tests(said: str) -> dict[str, int]:
    """Return how many tests pytest says passed, failed, were skipped or had errors."""
    lines = [line for line in said.splitlines() if re.search(r' in [\d.]+s', line)]
    found = re.findall(r'(\d+) (passed|failed|skipped|error)', lines[-1] if lines else '')
    counts = {kind: int(number) for number, kind in found}
    return {kind: counts.get(kind, 0) for kind in ('passed', 'failed', 'skipped', 'error')}
