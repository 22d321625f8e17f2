# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a graph to a TensorRT plan.

The module is an argument: `tensorrt`, of 10.3 or later, or `tensorrt_rtx`, whose builder needs no
GPU and has the same interface. Types are those of the graph (a strongly typed network), so what
is computed in half precision is decided by the form and by nobody else.
"""

from collections import deque
from dataclasses import dataclass
import functools
import logging
from typing import Any

from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.progress import Report

_logger = logging.getLogger(__name__)
_MAX_MESSAGES = 3


@dataclass(frozen=True, slots=True)
class BuilderOptions:
    """What the builder is told beside the graph."""

    allows_tf32: bool
    """Whether float32 products may be rounded to 10 bits on the way."""
    optimization_level: int = 3
    """How many kernels are tried, 0 to 5; 3 is TensorRT's own choice."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a builder made."""

    data: bytes
    """The engine, serialised."""
    timings: bytes
    """The timing cache: what was measured of kernels, for the next build."""


def builder_options(spec: EngineSpec) -> BuilderOptions:
    """Return what the builder is told for an engine: float32 is float32."""
    return BuilderOptions(allows_tf32=spec.precision != 'f32')


def build_plan(
    trt: Any, graph: bytes, options: BuilderOptions, timings: bytes, report: Report
) -> Plan:
    """Build a serialised graph.

    Args:
        trt: The module.
        graph: An ONNX model.
        options: What the builder is told.
        timings: A timing cache of an earlier build; empty where there is none.
        report: Told how far the build is.

    Raises:
        EngineError: If the graph is refused or no kernels are found, in the builder's words.
    """
    logger = shared_logger(trt)
    forget_errors(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
        msg = f'TensorRT does not parse the graph: {_joined(errors) if errors else said(trt)}'
        raise EngineError(msg)
    config = builder.create_builder_config()
    config.builder_optimization_level = options.optimization_level
    if options.allows_tf32:
        config.set_flag(trt.BuilderFlag.TF32)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)
    cache = config.create_timing_cache(timings)
    # Of another device or version it is refused.
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b'')
        config.set_timing_cache(cache, False)
    # The configuration does not keep it alive.
    config.progress_monitor = monitor = create_monitor(trt, report)
    serialized = builder.build_serialized_network(network, config)
    del monitor
    if serialized is None:
        msg = f'TensorRT builds no engine of the graph: {said(trt)}'
        raise EngineError(msg)
    return Plan(bytes(serialized), _serialized(config.get_timing_cache()))


@functools.cache
def shared_logger(trt: Any) -> Any:
    """Return the process's logger: TensorRT keeps the first one that it is given.

    The last errors are its `errors`; everything goes to our log, as debugging.
    """
    kinds = trt.ILogger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=_MAX_MESSAGES)

        def log(self, severity: Any, message: str) -> None:
            if severity in {kinds.ERROR, kinds.INTERNAL_ERROR}:
                self.errors.append(message)
            _logger.debug('TensorRT: %s', message)

    return Logger()


def forget_errors(trt: Any) -> None:
    """Forget what TensorRT complained of, before a call whose own words are wanted."""
    shared_logger(trt).errors.clear()


def said(trt: Any) -> str:
    """Return what TensorRT complained of since its errors were forgotten."""
    return _joined(list(shared_logger(trt).errors))


def create_monitor(trt: Any, report: Report) -> Any:
    """Return a monitor that reports the outermost phase that has steps."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, num_steps: int) -> None:
            self._steps[phase] = num_steps

        def step_complete(self, phase: str, step: int) -> bool:
            if phase == next(iter(self._steps), None):
                share = (step + 1) / max(1, self._steps[phase])
                report(f'TensorRT builds an engine: {phase}, {share:.0%}.')
            return True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()


def _network_flags(trt: Any) -> int:
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _serialized(cache: Any) -> bytes:
    data = cache.serialize() if cache is not None else None
    return bytes(data) if data is not None else b''


def _joined(messages: list[str]) -> str:
    lines = [' '.join(message.split()) for message in messages[-_MAX_MESSAGES:]]
    return '; '.join(lines) or 'it does not say why'
