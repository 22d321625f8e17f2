# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each pixel's class and its probability as operators, in float32 and without int64.

The probability of the largest logit is 1 / sum(exp(logits - largest)).
"""

import numpy as np

from hyperseg_core.deploy.builder import GraphBuilder
from hyperseg_core.deploy.builder import Value
from hyperseg_core.labels import IGNORE_ID


class ComparisonWriter:
    """Writes the comparison of the classes of maps (B, N, H, W).

    Every method returns ids and 255 times the probability plus a half, floats (B, H, W). Where a
    logit is NaN, the second is 0 by planes, which GPUs run, and NaN by reductions.
    """

    def __init__(self, graph: GraphBuilder, num_labels: int) -> None:
        """Publish an output beyond the label set's classes, void, as unlabelled."""
        self._graph, self._num_labels = graph, num_labels

    def by_planes(self, logits: Value) -> tuple[Value, Value]:
        """Compare class by class, a chain that engines fuse."""
        graph, (batch, count, height, width) = self._graph, logits.shape
        planes = graph.split(logits, [1] * count, 1)
        largest, ids = planes[0], self._number(0)
        if count == 1:
            ids = graph.expand(ids, largest.shape)
        for index, plane in enumerate(planes[1:], start=1):
            is_larger = graph.binary('Greater', plane, largest)
            ids = graph.where(is_larger, self._number(index), ids)
            largest = graph.binary('Max', largest, plane)
        terms = [graph.unary('Exp', graph.binary('Sub', plane, largest)) for plane in planes]
        total = terms[0]
        for term in terms[1:]:
            total = graph.binary('Add', total, term)
        ids, confidence = self._finished(ids, total, count, (batch, height, width))
        # What NaN is as uint8 is up to the engine on a GPU; comparisons with it are false.
        is_number = graph.binary('Greater', confidence, self._number(0))
        return ids, graph.where(is_number, confidence, self._number(0))

    def by_reductions(self, logits: Value) -> tuple[Value, Value]:
        """Compare all classes at once, in a few operators."""
        graph, (batch, count, height, width) = self._graph, logits.shape
        largest = graph.reduce('ReduceMax', logits, (1,))
        # Of equals the first has the highest rank, and wins as in argmax.
        ranks = graph.constant(np.arange(count, 0.0, -1)[:, None, None], dtype='float32')
        is_largest = graph.cast(graph.binary('Equal', logits, largest), 'float32')
        rank = graph.reduce('ReduceMax', graph.binary('Mul', is_largest, ranks), (1,))
        # Of NaN none is the largest.
        rank = graph.binary('Max', rank, self._number(1))
        ids = graph.binary('Sub', self._number(count), rank)
        total = graph.reduce(
            'ReduceSum', graph.unary('Exp', graph.binary('Sub', logits, largest)), (1,)
        )
        return self._finished(ids, total, count, (batch, height, width))

    def _finished(
        self, ids: Value, total: Value, count: int, shape: tuple[int, int, int]
    ) -> tuple[Value, Value]:
        graph = self._graph
        if count > self._num_labels:
            is_label = graph.binary('Less', ids, self._number(self._num_labels))
            ids = graph.where(is_label, ids, self._number(IGNORE_ID))
        scaled = graph.binary('Div', self._number(255), total)
        confidence = graph.binary('Add', scaled, self._number(0.5))
        return graph.reshape(ids, shape), graph.reshape(confidence, shape)

    def _number(self, value: float) -> Value:
        return self._graph.constant(np.array(float(value)), dtype='float32')
