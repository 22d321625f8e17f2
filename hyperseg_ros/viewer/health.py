# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics of segmenters to plain data: rates, ages, stages, drops, cause of silence."""

from collections.abc import Mapping
import re
from typing import Any

_STAGE = re.compile(r'(\w+) p50/p95/p99 \[ms\]')
_RATES = {'rate in [Hz]': 'in', 'rate out [Hz]': 'out'}
_COUNTS = {
    'received': 'received',
    'published': 'published',
    'dropped': 'dropped',
    'lost on the way': 'lost',
    'replaced unread': 'unread',
}
_FLOWING = re.compile(r'\d+(\.\d+)? masks/s')
"""How a status begins while masks come out; any other message says why none does."""
_PRECISION = re.compile(r'\b(f32|f16|bf16)\b')
_LEVELS = {0: 'ok', 1: 'warn', 2: 'error', 3: 'stale'}


def owner_of(status: Any) -> tuple[str, str]:
    """Return node and part that a DiagnosticStatus is about: `/segmenter`, `camera`."""
    node, _, part = str(status.name).partition(': ')
    return node, part


def report(status: Any) -> dict[str, Any]:
    """Return what a camera's DiagnosticStatus says.

    Numbers that cannot be read are left out: the status may be of another release.

    Returns:
        `level`, `message`, `topic`, `cause` (of silence, '' while masks come), `engine`,
        `precision`, `rates_hz`, `stages_ms` (p50, p95, p99 of each), `counts`, `drops` by cause,
        and `more`, all that has no place of its own.
    """
    found: dict[str, Any] = {
        'level': level_of(status),
        'message': str(status.message),
        'topic': str(status.hardware_id),
        'cause': '' if _FLOWING.match(status.message) else str(status.message),
        'engine': '', 'precision': '', 'rates_hz': {}, 'stages_ms': {}, 'counts': {}, 'drops': {},
        'more': {},
    }  # fmt: skip
    for item in status.values:
        _add(found, str(item.key), str(item.value))
    return found


def _add(found: dict[str, Any], key: str, value: str) -> None:
    stage = _STAGE.fullmatch(key)
    numbers = _numbers(value)
    if key == 'engine':
        precision = _PRECISION.search(value)
        found['engine'], found['precision'] = value, precision[0] if precision else ''
    elif key in _RATES and len(numbers) == 1:
        found['rates_hz'][_RATES[key]] = numbers[0]
    elif stage and len(numbers) == 3:
        found['stages_ms'][stage[1]] = numbers
    elif key in _COUNTS and len(numbers) == 1:
        found['counts'][_COUNTS[key]] = numbers[0]
    elif key.startswith('dropped, ') and len(numbers) == 1:
        found['drops'][key.removeprefix('dropped, ')] = numbers[0]
    else:
        found['more'][key] = value


def _numbers(text: str) -> list[float]:
    """Return the numbers of `1.0 / 2.0 / 3.0`; none where it is something else."""
    try:
        values = [float(word) for word in text.split('/')]
    except ValueError:
        return []
    return values if all(value - value == 0 for value in values) else []  # NaN is no JSON


def level_of(status: Any) -> str:
    """Return the level by name; rclpy has it as one byte."""
    level = status.level
    return _LEVELS.get(level[0] if isinstance(level, bytes) else int(level), 'stale')


def engine_report(status: Any) -> dict[str, Any]:
    """Return what the engine's DiagnosticStatus says."""
    values = {str(item.key): str(item.value) for item in status.values}
    return {'level': level_of(status), 'message': str(status.message), 'more': values}


def cause_without_cameras(node: str, lifecycle: str) -> str:
    """Say why a node has no camera to be looked at; '' where it need not have any yet."""
    if lifecycle != 'active':
        return ''
    return (
        f'{node} is active, but where its masks go is not known: of mask, confidence and overlay, '
        f'one at most may be remapped.'
    )


def cause_without_masks(
    node: str, lifecycle: str, silent_s: float | None, stream: Mapping[str, Any] | None
) -> str:
    """Say why nothing comes of a camera, beyond what the node itself says.

    Args:
        node: The node's full name.
        lifecycle: Its state, '' where it is not known.
        silent_s: Time since its last diagnostics, or since they are waited for [s]; None where
            nobody waits.
        stream: The camera's report, where there was one.
    """
    if lifecycle == 'unconfigured':
        told = f': {stream["message"]}' if stream and stream['message'] else ''
        return f'{node} is not configured{told or "; press `configure`, then `activate`"}.'
    if lifecycle in {'inactive', 'finalized'}:
        remedy = '; press `activate`' if lifecycle == 'inactive' else '; start it anew'
        return f'{node} is {lifecycle}{remedy}.'
    if silent_s is not None and silent_s > 4:
        return f'{node} has said nothing for {silent_s:.0f} s: it is gone, or hangs.'
    return stream['cause'] if stream else ''
