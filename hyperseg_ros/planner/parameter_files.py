# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that repeat the planners' parameters, made of their dataclasses.

`python -m hyperseg_ros.planner.parameter_files` writes them in a source tree; a test compares.
"""

from collections.abc import Mapping
from pathlib import Path
import textwrap
from typing import Any

from hyperseg_core.files.atomic import write_atomically
from hyperseg_ros.node.parameters import ParameterSpec
from hyperseg_ros.planner.cloud_parameters import CloudParameters
from hyperseg_ros.planner.ground_parameters import GroundParameters
from hyperseg_ros.planner.parameter_table import specs_of

NODES: Mapping[str, Mapping[str, ParameterSpec]] = {
    'ground': specs_of(GroundParameters),
    'labelled_cloud': specs_of(CloudParameters),
}
_ROOT = Path(__file__).resolve().parents[2]


def planner_yaml() -> str:
    """Return `config/planner.yaml`: every parameter of both nodes with its default."""
    lines = ['# Parameters of the nodes `ground` and `labelled_cloud`, with their defaults.']
    for node, specs in NODES.items():
        lines += [f'/**/{node}:', '  ros__parameters:']
        for spec in specs.values():
            lines += [f'    # {line}' for line in textwrap.wrap(_words(spec), 93)]
            lines.append(f'    {_line(spec)}')
    return '\n'.join(lines) + '\n'


def _words(spec: ParameterSpec) -> str:
    unit = f' [{spec.unit}]' if spec.unit else ''
    found = [f'{spec.text.rstrip(".")}{unit}.']
    if not spec.is_live:
        found.append('Read at configure.')
    if spec.constraint:
        found.append(f'{"One of" if spec.choices else "Range"}: {spec.constraint}.')
    return ' '.join(found)


def _line(spec: ParameterSpec) -> str:
    # An empty list has no type, which older releases of ROS 2 refuse in a file.
    if spec.default == ():
        return f'{spec.name}: [""]' if spec.kind == 'list[str]' else f'# {spec.name}: []'
    return f'{spec.name}: {_as_yaml(spec.default)}'


def _as_yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f'[{", ".join(_as_yaml(item) for item in value)}]'
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def planner_table(node: str) -> str:
    """Return the table of a node's parameters in `docs/planner-nodes.md`."""
    lines = ['| parameter | default | range | changes | meaning |']
    lines.append('| --- | --- | --- | --- | --- |')
    for spec in NODES[node].values():
        when = 'while running' if spec.is_live else 'at configure'
        unit = f' [{spec.unit}]' if spec.unit else ''
        values = spec.constraint.replace('|', r'\|')
        cells = [f'`{spec.name}`', f'`{_as_yaml(spec.default)}`', values, when, spec.text + unit]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def documented(text: str) -> str:
    """Return a document with its parameter tables made anew."""
    for node in NODES:
        begin, end = f'<!-- {node}: begin -->', f'<!-- {node}: end -->'
        before, _, rest = text.partition(begin)
        text = f'{before}{begin}\n{planner_table(node)}\n{end}{rest.partition(end)[2]}'
    return text


def main() -> None:
    """Write the files."""
    write_atomically(_ROOT / 'config' / 'planner.yaml', planner_yaml().encode())
    page = _ROOT / 'docs' / 'planner-nodes.md'
    write_atomically(page, documented(page.read_text(encoding='utf-8')).encode())


if __name__ == '__main__':
    main()
