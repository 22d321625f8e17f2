# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo shows while it runs, and says at its end."""

from pathlib import Path
import subprocess
import time

import numpy as np
from rich.table import Table

from hyperseg_ros.demo.collector import Collector

_NEXT = """
{count} masks. Look at {output}/overlay.mp4 and {output}/contact_sheet.png; the masks are a bag:
{output}/masks. On your robot:
  ros2 launch hyperseg_ros segmenter.launch.py image:=/camera/image_raw
Your own data: make demo BAG=..., VIDEO=..., IMAGES=..., CAMERA=0 or TOPIC=/camera/image_raw"""


def live_table(collector: Collector) -> Table:
    """Return what is known at this moment."""
    elapsed_s = time.monotonic() - collector.start_s if collector.start_s else 0.0
    rate_hz = collector.num_masks / elapsed_s if elapsed_s > 1 else 0.0
    recent = collector.ages_ms[-100:] or [float('nan')]
    table = Table('frames/s in', 'masks/s out', 'age p50', 'age p95', 'dropped', 'mIoU', 'engine')
    score = collector.mean_iou
    table.add_row(
        collector.status.get('rate in [Hz]', '-'), f'{rate_hz:.1f}',
        f'{np.percentile(recent, 50):.0f} ms', f'{np.percentile(recent, 95):.0f} ms',
        _drops(collector.status), '-' if score is None else f'{score:.3f}',
        collector.status.get('engine', '-'),
    )  # fmt: skip
    if not collector.num_masks:
        table.caption = collector.message
    return table


def _drops(status: dict[str, str]) -> str:
    causes = [
        f'{value} {key.removeprefix("dropped, ")}'
        for key, value in status.items()
        if key.startswith('dropped, ')
    ]
    return ', '.join(causes) or '0'


def closing_words(
    collector: Collector, children: dict[str, 'subprocess.Popen[bytes]'], output: Path
) -> str:
    """Say what there is to look at, or why no mask came."""
    if collector.num_masks:
        return _NEXT.format(output=output, count=collector.num_masks)
    ended = [name for name, child in children.items() if child.poll() is not None]
    lines = [f'the {name} ended: {_last_line(output / f"{name}.log")}' for name in ended]
    reason = ('; '.join(lines) or collector.message).rstrip('.')
    return f'No mask came: {reason}. The logs are in {output}/.'


def _last_line(log: Path) -> str:
    lines = log.read_text(errors='replace').split('\n')
    return next((line for line in reversed(lines) if line.strip()), 'without a word')
