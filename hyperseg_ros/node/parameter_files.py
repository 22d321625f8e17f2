# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that repeat a node's parameters, made of their specifications.

`python -m hyperseg_ros.node.parameter_files` writes them in a source tree; a test compares.
"""

from collections.abc import Mapping
from pathlib import Path
import textwrap
from typing import Any

from hyperseg_core.files.atomic import write_atomically
from hyperseg_ros.node.parameters import SPECS
from hyperseg_ros.node.parameters import ParameterSpec

BEGIN, END = '<!-- parameters: begin -->', '<!-- parameters: end -->'
_ROOT = Path(__file__).resolve().parents[2]
_EXAMPLES = {'size': '[384, 512]'}
"""What stands in a file, as a comment, where the default is an empty list of numbers."""


def parameter_yaml() -> str:
    """Return `config/segmenter.yaml`: every parameter with its default."""
    lines = ['# Parameters of the node `segmenter`, with their defaults.']
    return '\n'.join([*lines, *parameter_lines('/**', SPECS)]) + '\n'


def parameter_lines(node: str, specs: Mapping[str, ParameterSpec]) -> list[str]:
    """Return the lines of a parameter file for a node: each parameter with words and default."""
    lines = [f'{node}:', '  ros__parameters:']
    for spec in specs.values():
        lines += [f'    # {line}' for line in textwrap.wrap(_words(spec), 93)]
        lines.append(f'    {_line(spec)}')
    return lines


def parameter_table(specs: Mapping[str, ParameterSpec]) -> str:
    """Return the table of a node's parameters for its page in `docs/`."""
    lines = [
        '| parameter | default | range | changes | meaning |',
        '| --- | --- | --- | --- | --- |',
    ]
    for spec in specs.values():
        when = 'while running' if spec.is_live else 'at configure'
        unit = f' [{spec.unit}]' if spec.unit else ''
        values = spec.constraint.replace('|', r'\|')
        cells = [f'`{spec.name}`', f'`{_as_yaml(spec.default)}`', values, when, spec.text + unit]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def between(text: str, begin: str, end: str, content: str) -> str:
    """Return a text with other content between two marks, each on a line of its own."""
    before, _, rest = text.partition(begin)
    return f'{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}'


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
        is_text = spec.kind == 'list[str]'
        return (
            f'{spec.name}: [""]' if is_text else f'# {spec.name}: {_EXAMPLES.get(spec.name, "[]")}'
        )
    return f'{spec.name}: {_as_yaml(spec.default)}'


def _as_yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f'[{", ".join(_as_yaml(item) for item in value)}]'
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def documented(text: str) -> str:
    """Return a document with its parameter table made anew."""
    return between(text, BEGIN, END, parameter_table(SPECS))


def main() -> None:
    """Write the files."""
    write_atomically(_ROOT / 'config' / 'segmenter.yaml', parameter_yaml().encode())
    page = _ROOT / 'docs' / 'node.md'
    write_atomically(page, documented(page.read_text(encoding='utf-8')).encode())


if __name__ == '__main__':
    main()
