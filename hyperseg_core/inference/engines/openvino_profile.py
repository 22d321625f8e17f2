# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO's account of its nodes (`PERF_COUNT`)."""

import time
from typing import Any

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import Bytes
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engines.openvino import import_openvino
from hyperseg_core.inference.engines.openvino import openvino_options
from hyperseg_core.inference.preparation import serialised_graph
from hyperseg_core.inference.profile import NodeTime
from hyperseg_core.inference.profile import NodeTimes

_WARM_UP = 5


def node_times(task: Task, spec: EngineSpec, frames: Bytes, runs: int) -> NodeTimes:
    """Run frames; see `engines.node_times`."""
    openvino = import_openvino()
    core = openvino.Core()
    options = {**openvino_options(spec), 'PERF_COUNT': True}
    try:
        model = core.compile_model(
            core.read_model(serialised_graph(task, spec)), spec.device.upper(), options
        )
    except RuntimeError as err:
        msg = f'OpenVINO cannot compile the graph for {spec}: {err}.'
        raise EngineError(msg) from err
    request = model.create_infer_request()
    for _ in range(_WARM_UP):
        request.infer([frames], share_inputs=True)
    before = request.get_profiling_info()
    start_s = time.perf_counter()
    for _ in range(runs):
        request.infer([frames], share_inputs=True)
    run_ms = 1000 * (time.perf_counter() - start_s) / runs
    executed = openvino.ProfilingInfo.Status.EXECUTED
    nodes = [
        NodeTime(new.node_name, new.node_type, new.exec_type, _mean_ms(old, new, runs))
        for old, new in zip(before, request.get_profiling_info(), strict=True)
        if new.status == executed
    ]
    return NodeTimes(tuple(nodes), run_ms, has_parts=True)


def _mean_ms(before: Any, after: Any, runs: int) -> float:
    """Return a node's mean time over the last runs.

    What OpenVINO reports is the mean since the request was made, in whole microseconds.
    """
    whole_s = (_WARM_UP + runs) * after.real_time.total_seconds()
    return max(1000 * (whole_s - _WARM_UP * before.real_time.total_seconds()) / runs, 0.0)
