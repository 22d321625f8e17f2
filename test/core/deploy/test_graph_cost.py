# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What writing a graph takes: every start of a robot does it."""

from pathlib import Path
import subprocess
import sys

import pytest

from hyperseg_core import build_model
from hyperseg_core import load_labels
from hyperseg_core import save_checkpoint

CODE = """
import pathlib, re, sys, time
from hyperseg_core import load_checkpoint
from hyperseg_core.deploy.graph import build_graph

def peak_kib():
    return int(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])

checkpoint = load_checkpoint(sys.argv[1])
pathlib.Path('/proc/self/clear_refs').write_text('5')  # forget the peak: see proc(5)
start_s, start_kib = time.monotonic(), peak_kib()
graph = build_graph(checkpoint, checkpoint.config.size).SerializeToString(deterministic=True)
print(time.monotonic() - start_s, (peak_kib() - start_kib) / 1024)
"""


def cost(checkpoint: str) -> tuple[float, float]:
    """Return seconds and the growth of the largest memory [MiB] in a fresh process."""
    done = subprocess.run(
        [sys.executable, '-c', CODE, checkpoint], capture_output=True, text=True, check=True
    )
    elapsed_s, growth_mib = map(float, done.stdout.split())
    return elapsed_s, growth_mib


def test_default_takes_less_than_a_second() -> None:
    elapsed_s, growth_mib = cost('default')
    assert elapsed_s < 3  # 0.1 s where nothing else runs
    assert growth_mib < 300


@pytest.mark.slow
def test_largest_preset_takes_a_few_seconds(tmp_path: Path) -> None:
    path = tmp_path / 'large.safetensors'
    save_checkpoint(path, build_model('cityscapes-s').eval(), load_labels('cityscapes'))
    elapsed_s, growth_mib = cost(str(path))
    assert elapsed_s < 9  # 0.3 s where nothing else runs
    assert growth_mib < 300
