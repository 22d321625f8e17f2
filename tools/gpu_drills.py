# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a GPU, each in a process of its own, and whether frames are still answered.

`python tools/gpu_drills.py NAME [ENGINE]` prints a line of JSON; without an engine it is torch.
"""

import json
import sys
import time
from typing import Any

import numpy as np

from hyperseg_core import Segmenter
from hyperseg_core.drive import DriveScene
from hyperseg_core.errors import EngineError
from hyperseg_core.process_end import end_process

ON_GPUS = ('assertion', 'memory')
"""A kernel's assertion fails, which ends the context; the GPU's memory is full."""
ANYWHERE = ('engine',)
"""An engine says that it is lost."""
_MAX_FRAMES = 5


def assertion(segmenter: Segmenter) -> None:
    """Let a kernel's assertion fail: nothing of this process runs on the GPU afterwards."""
    import torch

    places = torch.tensor([1 << 20], device='cuda')
    torch.zeros(2, device='cuda')[places]


def memory(segmenter: Segmenter) -> None:
    """Fill the GPU's memory, then ask for an engine of another size."""
    import torch

    blocks: list[Any] = []
    size = 1 << 30
    while size >= 1 << 20:
        try:
            blocks.append(torch.empty(size, dtype=torch.uint8, device='cuda'))
        except torch.OutOfMemoryError:
            size //= 2
    segmenter.filling = blocks  # type: ignore[attr-defined]


def engine(segmenter: Segmenter) -> None:
    """Let the engine in use say that it is lost."""

    def lose(frames: np.ndarray) -> None:
        raise EngineError('lost by a drill', lost=True)

    for (spec, _), built in segmenter._pool._engines.items():
        if spec == segmenter.spec:
            built.run = lose  # type: ignore[method-assign, assignment]


def main() -> None:
    """Run a drill."""
    name = sys.argv[1]
    on_gpu = sys.argv[2] if len(sys.argv) > 2 and name == 'memory' else 'torch'
    arguments = ('auto', 'auto') if name in ANYWHERE else (on_gpu, 'cuda')
    segmenter = Segmenter('fast', *arguments, fallback_ready=True)
    size = (300, 400) if name == 'memory' else segmenter.checkpoint.config.size
    frame = DriveScene(1, height=size[0], width=size[1]).frame(2.0).image
    exact = Segmenter('fast', device='cpu', precision='f32')(frame).class_ids
    before = str(segmenter.spec)
    {'assertion': assertion, 'memory': memory, 'engine': engine}[name](segmenter)
    start_s, failures = time.monotonic(), []
    found = None
    while found is None and len(failures) < _MAX_FRAMES:
        try:
            found = segmenter(frame).class_ids
        except EngineError as error:
            failures.append(str(error))
    report = {
        'before': before, 'after': str(segmenter.spec), 'seconds': time.monotonic() - start_s,
        'frames_without_answer': len(failures), 'failures': failures, 'loss': segmenter.loss,
        'agreement': float((found == exact).mean()) if found is not None else 0.0,
    }  # fmt: skip
    print(json.dumps(report), flush=True)
    end_process()  # not all that lies on a lost device can be destroyed


if __name__ == '__main__':
    main()
