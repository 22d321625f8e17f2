# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The file that `bag select` writes and `bag export --selection` reads."""

from collections import defaultdict
import json
from pathlib import Path
from typing import Any

from hyperseg_core.errors import InputError

FORM = 'hyperseg selection 1'
_MAX_BYTES = 64 << 20
_KEYS = {'bag': str, 'topic': str, 'stamp_ns': int}
Selection = dict[str, dict[str, set[int]]]
"""Stamps [ns] by name of the bag and topic."""


def selection_text(frames: list[dict[str, Any]], made_of: dict[str, Any]) -> str:
    """Return the file: frames, the worthiest first, and what they were chosen by."""
    return json.dumps({'form': FORM, **made_of, 'frames': frames}, indent=1) + '\n'


def read_selection(path: Path) -> Selection:
    """Read a selection.

    Raises:
        InputError: If it is none.
        FileNotFoundError: If it is not there.
    """
    if not path.is_file():
        msg = f'There is no selection {path}; `hyperseg bag select BAG {path}` writes one.'
        raise FileNotFoundError(msg)
    size = path.stat().st_size
    try:
        data = json.loads(path.read_bytes()) if size <= _MAX_BYTES else None
    except (ValueError, RecursionError) as err:
        msg = f'{path} is no selection of `bag select`: {err!s:.200}.'
        raise InputError(msg) from err
    frames = data.get('frames') if isinstance(data, dict) and data.get('form') == FORM else None
    if not isinstance(frames, list) or not all(_is_frame(item) for item in frames):
        msg = (
            f'{path} ({size} bytes) is no selection of `bag select`: expected {{"form": "{FORM}", '
            f'"frames": [{{"bag": ..., "topic": ..., "stamp_ns": ...}}]}}.'
        )
        raise InputError(msg)
    found: Selection = defaultdict(lambda: defaultdict(set))
    for item in frames:
        found[item['bag']][item['topic']].add(item['stamp_ns'])
    return {bag: dict(topics) for bag, topics in found.items()}


def _is_frame(item: object) -> bool:
    return isinstance(item, dict) and all(type(item.get(k)) is kind for k, kind in _KEYS.items())
