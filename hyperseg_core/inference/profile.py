# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What took how long in an engine: its nodes, summed by kind of work and by part of the network.

Engines fuse and insert nodes: a convolution with its activation is one node, a change of layout
between two others is one of its own. A node keeps the name of the graph's node that it was made
of, and with it the part of the network.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import re

OTHER_PART = 'other'
"""Nodes without a part: those that an engine adds, and names by itself."""
_SCOPE = re.compile(r'([a-z_]+(\.\w+)*)/')
_MOVES = frozenset(
    {
        'Broadcast', 'Concat', 'Concatenation', 'DepthToSpace', 'Expand', 'Flatten', 'Gather',
        'Identity', 'Interpolate', 'Pad', 'Reorder', 'ReorderInput', 'ReorderOutput', 'Reshape',
        'Resize', 'Slice', 'SpaceToDepth', 'Split', 'Squeeze', 'StridedSlice', 'Tile',
        'Transpose', 'Unsqueeze', 'Upsample', 'VariadicSplit',
        # PyTorch's
        'cat', 'clone', 'constant_pad_nd', 'contiguous', 'copy_', 'expand', 'index',
        'index_select', 'narrow', 'pad', 'permute', 'reflection_pad2d', 'replication_pad2d',
        'reshape', 'select', 'slice', 'split', 'split_with_sizes', 'stack', 'transpose',
        'unsqueeze', 'upsample_bilinear2d', 'upsample_nearest2d', 'view',
    }
)  # fmt: skip
"""Kinds of nodes that bring values elsewhere, and compute no more than a mean of some."""


@dataclass(frozen=True, slots=True)
class NodeTime:
    """One node of an engine."""

    name: str
    """Its own; begins with that of a node of the graph where the engine keeps names."""
    kind: str
    """The type of the node, in the engine's words."""
    implementation: str
    """How it is computed: kernel or layout; '' where the engine does not tell."""
    ms: float
    """Mean time per run."""
    count: float = 1
    """How often it is run."""

    @property
    def work(self) -> str:
        """Kind and implementation in a word or two."""
        return f'{self.kind} {self.implementation}'.rstrip()

    @property
    def part(self) -> str:
        """The part of the network that it belongs to, such as `decoder.meta_blocks.2`."""
        found = _SCOPE.match(self.name)
        return found.group(1) if found else OTHER_PART

    @property
    def is_move(self) -> bool:
        """Whether it only moves values: Transpose, Reorder, Concat, Split, Gather, Resize..."""
        return self.kind in _MOVES


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """An engine's own account of its runs."""

    nodes: tuple[NodeTime, ...]
    """Those that were run, in the engine's order."""
    run_ms: float
    """Mean time of a whole run with the account being kept, by the clock."""
    has_parts: bool
    """Whether the names tell the part of the network."""

    @property
    def sum_ms(self) -> float:
        """What the nodes took together."""
        return sum(node.ms for node in self.nodes)

    @property
    def moves_share(self) -> float:
        """The part of the sum that nodes took that only move values, 0 to 1."""
        return sum(node.ms for node in self.nodes if node.is_move) / (self.sum_ms or 1)

    def by_work(self) -> list['Share']:
        """Sum up by kind of work, the longest first."""
        shares = self._summed(lambda node: node.work)
        return sorted(shares, key=lambda share: share.ms, reverse=True)

    def by_part(self) -> list['Share']:
        """Sum up by part of the network, as they are run; nothing where names do not tell."""
        return self._summed(lambda node: node.part) if self.has_parts else []

    def _summed(self, key: Callable[[NodeTime], str]) -> list['Share']:
        groups: dict[str, list[NodeTime]] = {}
        for node in self.nodes:
            groups.setdefault(key(node), []).append(node)
        return [_share(name, nodes, self.sum_ms) for name, nodes in groups.items()]


@dataclass(frozen=True, slots=True)
class Share:
    """What nodes with something in common took."""

    name: str
    count: float
    """Nodes per run."""
    ms: float
    """Mean time per run."""
    share: float
    """Of the sum over all nodes, 0 to 1."""


def _share(name: str, nodes: Sequence[NodeTime], sum_ms: float) -> Share:
    ms = sum(node.ms for node in nodes)
    return Share(name, sum(node.count for node in nodes), ms, ms / (sum_ms or 1))
