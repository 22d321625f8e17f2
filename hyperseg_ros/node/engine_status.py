# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's diagnostics: which one runs, how far a build is, what was lost."""

from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.lifecycle import LifecycleNode

from hyperseg_core.inference.cuda_driver import driver_state
from hyperseg_core.inference.progress import BuildProgress
from hyperseg_ros.node.worker import Worker


def engine_status(
    node: LifecycleNode, worker: Worker, progress: BuildProgress, *, is_cpu: bool
) -> DiagnosticStatus:
    """Return the engine's diagnostics at this moment.

    Args:
        node: The node.
        worker: Who runs the engine.
        progress: How far a build is.
        is_cpu: Whether nothing but the CPU was asked for, so that a broken driver is no fault.
    """
    driver = driver_state()
    status = DiagnosticStatus(
        name=f'{node.get_fully_qualified_name()}: engine', level=DiagnosticStatus.OK
    )
    status.message = progress.text or worker.engine
    problem = worker.loss or worker.failure
    if not problem and driver.is_broken and not is_cpu:
        problem = f'the NVIDIA driver is broken: {driver.absence}'
    if problem:
        status.level = DiagnosticStatus.ERROR
        status.message = f'{problem}; {worker.engine} is in use'
    found = {'engine': worker.engine, 'being built': progress.text or 'nothing'}
    found['NVIDIA driver'] = f'CUDA {driver.version}' if driver.version else driver.absence
    status.values = [KeyValue(key=key, value=value) for key, value in found.items()]
    return status
