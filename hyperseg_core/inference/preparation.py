# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a task to an engine that may be used: written, built or taken from the cache, checked."""

import dataclasses
import logging
from typing import Any

import numpy as np

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.cache import CacheEntry
from hyperseg_core.inference.cache import cache_key
from hyperseg_core.inference.engine import CPU_ENGINES
from hyperseg_core.inference.engine import Engine
from hyperseg_core.inference.engine import EngineFiles
from hyperseg_core.inference.engine import EngineName
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engine import Task
from hyperseg_core.inference.engine import is_installed
from hyperseg_core.inference.engines import check_runs
from hyperseg_core.inference.engines import graph_engine
from hyperseg_core.inference.parity import Answers
from hyperseg_core.inference.parity import answers_of
from hyperseg_core.inference.parity import check_answers
from hyperseg_core.inference.parity import gate_images
from hyperseg_core.preprocessing import Size

_logger = logging.getLogger(__name__)
_REFERENCES: tuple[EngineName, ...] = ('torch', 'onnxruntime', 'openvino')
"""Whom to ask for answers that an old checkpoint lacks; PyTorch, which runs no graph, first."""
_passed: set[tuple[str, EngineSpec]] = set()
"""Checkpoints and engines that gave the stored answers in this process."""


def build_engine(
    checkpoint: Checkpoint, spec: EngineSpec, *, batch: int, size: Size, output_size: Size
) -> Engine:
    """Build or load one engine of fixed shapes, checked before its first use.

    Raises:
        EngineError: If it is not installed, cannot be built, or disagrees.
    """
    return prepare(Task(checkpoint, batch, size, output_size), spec)


def prepare(task: Task, spec: EngineSpec) -> Engine:
    """Do what `build_engine` does for a task."""
    check_runs(spec)
    content = _content(task, spec)
    with CacheEntry(cache_key(task, spec, content)) as entry:
        engine = _open(task, spec, content, entry)
        try:
            if entry.parity is None:
                entry.record(_check(engine, task, spec))
            elif spec.is_cuda:  # it passed; libraries load their kernels at the first run
                answers_of(engine, gate_images(task)[:1], task.batch)
        except EngineError:
            engine.close()
            raise
    if _is_own_size(task):
        _passed.add((task.checkpoint.digest, spec))
    return engine


def serialised_graph(task: Task, spec: EngineSpec) -> bytes:
    """Return the graph that an engine other than PyTorch is built from."""
    graph = build_graph(
        task.checkpoint, task.size, output_size=task.output_size, batch=task.batch,
        form=spec.form, precision=spec.graph_precision,
    )  # fmt: skip
    return bytes(graph.SerializeToString(deterministic=True))


def _content(task: Task, spec: EngineSpec) -> bytes:
    """Return what the engine is built from: the graph, or for PyTorch what stands for it."""
    if spec.name == 'torch':
        return task.checkpoint.digest.encode()
    return serialised_graph(task, spec)


def _open(task: Task, spec: EngineSpec, content: bytes, files: EngineFiles) -> Engine:
    try:
        if spec.name == 'torch':
            from hyperseg_core.inference.engines.torch import TorchEngine

            return TorchEngine(task, spec)
        return graph_engine(spec.name)(content, spec, files)
    except EngineError as err:
        if str(spec) in str(err):
            raise
        msg = f'{spec} could not be built: {err}'
        raise EngineError(msg, lost=err.lost) from err
    except Exception as err:  # engines raise classes of their own
        msg = f'{spec} could not be built: {err}.'
        raise EngineError(msg) from err


def _check(engine: Engine, task: Task, spec: EngineSpec) -> dict[str, Any]:
    """Let the engine pass the gate; return the figures.

    Raises:
        EngineError: If it does not pass.
    """
    found = answers_of(engine, gate_images(task), task.batch)
    for reference in _exact_engines(spec):
        try:
            expected = _answers(task, reference)
        except EngineError as err:
            _logger.info('%s cannot check %s: %s', reference, spec, err)
            continue
        return check_answers(found, expected, spec, str(reference))
    if _is_own_size(task):
        known, name = _known_answers(task, spec)
        return check_answers(found, known, spec, name)
    own = dataclasses.replace(
        task, batch=1, size=task.checkpoint.config.size, output_size=task.checkpoint.config.size
    )
    if (task.checkpoint.digest, spec) not in _passed:
        prepare(own, spec).close()
    return check_answers(found, None, spec, 'its own answers at the size of the stored frames')


def _exact_engines(spec: EngineSpec) -> list[EngineSpec]:
    """Return whom another precision than float32 is compared with, the best first.

    On a CPU it is the same library; a GPU is compared with the fastest one, which is also what
    takes over when the GPU is lost.
    """
    if spec.precision == 'f32':
        return []
    names = CPU_ENGINES if spec.is_cuda else (spec.name,)
    return [EngineSpec(name, 'cpu', 'f32') for name in names if is_installed(name)]


def _is_own_size(task: Task) -> bool:
    return task.size == task.output_size == task.checkpoint.config.size and task.batch == 1


def _answers(task: Task, reference: EngineSpec) -> Answers:
    engine = prepare(task, reference)
    answers = answers_of(engine, gate_images(task), task.batch)
    engine.close()
    return answers


def _known_answers(task: Task, spec: EngineSpec) -> tuple[Answers | None, str]:
    """Return the answers at the network's own size, and whose they are."""
    frames = task.checkpoint.frames()
    if frames:
        ids = np.stack([frame.class_ids for frame in frames])
        return (ids, np.stack([frame.confidence for frame in frames])), 'PyTorch'
    for name in _REFERENCES:
        if name != spec.name and is_installed(name):
            reference = EngineSpec(name, 'cpu', 'f32')
            try:
                engine = _open(task, reference, _content(task, reference), NoFiles())
            except EngineError as err:
                _logger.info('%s cannot check %s: %s', reference, spec, err)
                continue
            answers = answers_of(engine, gate_images(task), task.batch)
            engine.close()
            return answers, str(reference)
    _logger.warning(
        'The checkpoint carries no frames and no other engine is installed: %s was only checked '
        'for NaN. `hyperseg annotate` puts frames into it.', spec,
    )  # fmt: skip
    return None, 'nothing'
