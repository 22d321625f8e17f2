# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names and colours of ids: of LabelInfo, or of the shipped checkpoint that the node runs."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.resources import resource_names

_SHIPPED = ('default', 'fast')
Class = dict[str, Any]
"""`id`, `name` and `colour` (RGB), which is None where nobody knows one."""


@cache
def _known_sets() -> tuple[LabelSet, ...]:
    return tuple(map(load_labels, resource_names('config', 'labels', suffix='.yaml')))


def named_classes(names: Sequence[tuple[int, str]]) -> list[Class]:
    """Return classes by id and name, in the colours of the shipped label set that fits best.

    LabelInfo has names, no colours. A name that no shipped set has gets its colour from the page.
    """
    wanted = {name for _, name in names}
    ranked = sorted(_known_sets(), key=lambda item: -len(wanted & set(item.names)))
    colours: dict[str, tuple[int, int, int]] = {}
    for labels in reversed(ranked):
        colours |= {item.name: item.colour for item in labels.classes}
    return [
        {'id': index, 'name': name, 'colour': list(colours[name]) if name in colours else None}
        for index, name in names
    ]


@cache
def _checkpoint_classes(name: str) -> tuple[tuple[int, str], ...]:
    return tuple(enumerate(load_checkpoint(name).label_set.names))


def classes_of_checkpoint(name: str) -> list[Class]:
    """Return the classes of a shipped checkpoint; none of another, whose file may be elsewhere."""
    return named_classes(_checkpoint_classes(name)) if name in _SHIPPED else []
