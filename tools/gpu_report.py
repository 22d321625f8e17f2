# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A report of `gpu_check` for people."""

from collections.abc import Iterator
import json
from typing import Any

_COLUMNS = ('p50_ms', 'p99_ms', 'n', 'agreement', 'memory_mib', 'launches')


def markdown(report: dict[str, Any]) -> str:
    """Return a report as Markdown."""
    return '\n'.join(_lines(report)) + '\n'


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield '# GPU check'
    yield ''
    yield f'Run on {report["run_on"]}{", quick" if report["is_quick"] else ""}.'
    for name, step in report['steps'].items():
        yield ''
        yield f'## {name}: {step["status"]}, {step["step_seconds"]} s'
        yield ''
        if step['status'] == 'failed':
            yield f'    {" ".join(str(step["reason"]).split())}'
            continue
        if name == 'bench':
            yield from _bench(step)
            continue
        for key, value in step.items():
            if key == 'said' and step['status'] != 'done':
                yield ''
                yield from (f'    {line}' for line in str(value).splitlines())
                yield ''
            elif key not in {'status', 'step_seconds', 'said', 'is_well'}:
                yield f'- {key}: {value if isinstance(value, str) else json.dumps(value)}'


def _bench(step: dict[str, Any]) -> Iterator[str]:
    for size, rows in step['sizes'].items():
        yield f'| {size} | {" | ".join(_COLUMNS)} |'
        yield f'| --- |{" --- |" * len(_COLUMNS)}'
        for name, row in rows.items():
            cells = [str(row.get(column, '')) for column in _COLUMNS]
            cells = cells if 'failed' not in row else [row['failed'], *[''] * (len(_COLUMNS) - 1)]
            yield f'| {name} | {" | ".join(cells)} |'
        yield ''
    if 'six_cameras_ms' in step:
        yield f'Six cameras [ms]: {json.dumps(step["six_cameras_ms"])}'
    if step['out of time for']:
        yield f'Out of time for {", ".join(step["out of time for"])}.'
    if not step['targets']:
        yield 'No target was measured.'
    for target in step['targets']:
        if target['measured'] is None:
            yield f'- {target["target"]}: NOT MEASURED'
            continue
        verdict = 'met' if target['is_met'] else 'MISSED'
        yield f'- {target["target"]}: {target["measured"]}, {verdict}'
