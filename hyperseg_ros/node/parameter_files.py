# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that repeat the node's parameters, made of `parameters.SPECS`.

`python -m hyperseg_ros.node.parameter_files` writes them in a source tree; a test compares.
"""

from pathlib import Path
import textwrap
from typing import Any

from hyperseg_core.files.atomic import write_atomically
from hyperseg_ros.node.parameters import SPECS
from hyperseg_ros.node.parameters import ParameterSpec

BEGIN, END = '<!-- parameters: begin -->', '<!-- parameters: end -->'
_ROOT = Path(__file__).resolve().parents[2]


def parameter_yaml() -> str:
    """Return `config/segmenter.yaml`: every parameter with its default."""
    lines = ['# Parameters of the node `segmenter`, with their defaults.', '/**:']
    lines.append('  ros__parameters:')
    for spec in SPECS.values():
        comment = textwrap.wrap(' '.join(_sentences(spec)), 93)
        lines += [f'    # {line}' for line in comment]
        lines.append(f'    {_line(spec)}')
    return '\n'.join(lines) + '\n'


def _line(spec: ParameterSpec) -> str:
    # An empty list has no type, which older releases of ROS 2 refuse in a file.
    if spec.default == ():
        return f'{spec.name}: [""]' if spec.kind == 'list[str]' else f'# {spec.name}: [384, 512]'
    return f'{spec.name}: {_as_yaml(spec.default)}'


def parameter_table() -> str:
    """Return the table of `docs/node.md`."""
    lines = [
        '| parameter | default | range | changes | meaning |',
        '| --- | --- | --- | --- | --- |',
    ]
    for spec in SPECS.values():
        when = 'while running' if spec.is_live else 'at configure'
        unit = f' [{spec.unit}]' if spec.unit else ''
        values = spec.constraint.replace('|', r'\|')
        cells = [f'`{spec.name}`', f'`{_as_yaml(spec.default)}`', values, when, spec.text + unit]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _sentences(spec: ParameterSpec) -> list[str]:
    unit = f' [{spec.unit}]' if spec.unit else ''
    found = [f'{spec.text.rstrip(".")}{unit}.']
    if not spec.is_live:
        found.append('Read at configure.')
    if spec.constraint:
        found.append(f'{"One of" if spec.choices else "Range"}: {spec.constraint}.')
    return found


def _as_yaml(value: Any) -> str:
    if value == ():
        return '[]'
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def documented(text: str) -> str:
    """Return a document with its parameter table made anew."""
    before, _, rest = text.partition(BEGIN)
    return f'{before}{BEGIN}\n{parameter_table()}\n{END}{rest.partition(END)[2]}'


def main() -> None:
    """Write the files."""
    write_atomically(_ROOT / 'config' / 'segmenter.yaml', parameter_yaml().encode())
    page = _ROOT / 'docs' / 'node.md'
    write_atomically(page, documented(page.read_text(encoding='utf-8')).encode())


if __name__ == '__main__':
    main()
