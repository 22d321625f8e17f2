# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each pixel's class and its probability as operators, in float32 and without int64.

The probability of the largest logit is 1 / sum(exp(logits - largest)).
"""

import functools

import numpy as np

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.labels import IGNORE_ID

_FAR = 1e30
"""What differences of logits are multiplied by: any that is not 0 becomes larger than a rank."""


def write_comparison(graph: GraphBuilder, logits: Value, num_labels: int) -> tuple[Value, Value]:
    """Compare the classes plane by plane, a chain that engines fuse.

    Args:
        graph: Where to.
        logits: (B, N, H, W) float32.
        num_labels: Classes of the label set. An output beyond them, void, is published as
            unlabelled.

    Returns:
        Ids, and 255 times the probability plus a half, floats (B, H, W). Where a logit is NaN,
        the probability is 0 as a byte, and the id any of them.
    """
    batch, count, height, width = logits.shape
    planes = graph.split(logits, [1] * count, 1)
    largest = functools.reduce(functools.partial(graph.binary, 'Max'), planes)
    total: Value | None = None
    rank: Value | None = None
    for index, plane in enumerate(planes):
        below = graph.binary('Sub', plane, largest)
        term = graph.unary('Exp', below)
        total = term if total is None else graph.binary('Add', total, term)
        # The class's rank where it is the largest, far below 0 elsewhere: floats alone, as truth
        # values would part what engines fuse. The first of equals has the highest rank, and wins
        # as in argmax.
        below = graph.binary('Mul', below, _number(graph, _FAR))
        below = graph.binary('Add', below, _number(graph, count - index))
        rank = below if rank is None else graph.binary('Max', rank, below)
    assert total is not None
    assert rank is not None
    ids = graph.binary('Sub', _number(graph, count), rank)
    if count > num_labels:
        is_label = graph.binary('Less', ids, _number(graph, num_labels))
        ids = graph.where(is_label, ids, _number(graph, IGNORE_ID))
    confidence = graph.binary('Div', _number(graph, 255), total)
    confidence = graph.binary('Add', confidence, _number(graph, 0.5))
    # What NaN is as uint8 is up to the engine; comparisons with it are false.
    is_number = graph.binary('Greater', confidence, _number(graph, 0))
    ids, confidence = (
        graph.where(is_number, value, _number(graph, 0)) for value in (ids, confidence)
    )
    shape = (batch, height, width)
    return graph.reshape(ids, shape), graph.reshape(confidence, shape)


def _number(graph: GraphBuilder, value: float) -> Value:
    return graph.constant(np.array(float(value)), dtype='float32')
