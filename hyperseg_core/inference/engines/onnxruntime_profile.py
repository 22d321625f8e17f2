# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's account of its nodes, which it writes as a file of events."""

from collections.abc import Iterable
import json
from pathlib import Path
import tempfile
import time
from typing import Any

from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines.onnxruntime import import_onnxruntime
from hyperseg_core.inference.engines.onnxruntime import onnxruntime_providers
from hyperseg_core.inference.engines.onnxruntime import session_options
from hyperseg_core.inference.preparation import serialised_graph
from hyperseg_core.inference.profile import NodeTime
from hyperseg_core.inference.profile import NodeTimes

_WARM_UP = 5
_ENDING = '_kernel_time'
_BLOCKED = 'nchwc'
"""What it adds to the names of nodes that it gives its own layout of channels."""


def node_times(task: Task, spec: EngineSpec, frames: Bytes, runs: int) -> NodeTimes:
    """Run frames; see `engines.node_times`."""
    onnxruntime = import_onnxruntime()
    options = session_options(onnxruntime)
    options.enable_profiling = True
    graph = serialised_graph(task, spec)
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder, 'profile'))
        providers = [name for name, _ in onnxruntime_providers(spec)]
        session = onnxruntime.InferenceSession(graph, options, providers=providers)
        inputs = {session.get_inputs()[0].name: frames}
        run_s = 0.0
        for run in range(_WARM_UP + runs):
            start_s = time.perf_counter()
            session.run(None, inputs)
            run_s += (time.perf_counter() - start_s) * (run >= _WARM_UP)
        events = json.loads(Path(session.end_profiling()).read_text(encoding='utf-8'))
    return NodeTimes(tuple(counted(events, runs)), 1000 * run_s / runs, has_parts=True)


def counted(events: Iterable[dict[str, Any]], runs: int) -> list[NodeTime]:
    """Return the mean times of nodes over the last runs among a file's events."""
    durations: dict[tuple[str, str, str], list[float]] = {}
    for event in events:
        if event['cat'] == 'Node' and event['name'].endswith(_ENDING):
            name = event['name'].removesuffix(_ENDING)
            about = event['args']
            # Names may be alike, indices are not.
            key = (name, about['op_name'], about.get('node_index', ''))
            durations.setdefault(key, []).append(event['dur'] / 1000)
    return [
        NodeTime(name, kind, _BLOCKED if _BLOCKED in name else '', sum(ms[-runs:]) / runs)
        for (name, kind, _), ms in durations.items()
    ]
