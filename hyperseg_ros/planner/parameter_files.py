# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that repeat the planners' parameters, made of their dataclasses.

`python -m hyperseg_ros.planner.parameter_files` writes them in a source tree; a test compares.
"""

from collections.abc import Mapping
from pathlib import Path

from hyperseg_core.files.atomic import write_atomically
from hyperseg_ros.node.parameter_files import between
from hyperseg_ros.node.parameter_files import parameter_lines
from hyperseg_ros.node.parameter_files import parameter_table
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
        lines += parameter_lines(f'/**/{node}', specs)
    return '\n'.join(lines) + '\n'


def documented(text: str) -> str:
    """Return a document with its parameter tables made anew."""
    for node, specs in NODES.items():
        begin, end = f'<!-- {node}: begin -->', f'<!-- {node}: end -->'
        text = between(text, begin, end, parameter_table(specs))
    return text


def main() -> None:
    """Write the files."""
    write_atomically(_ROOT / 'config' / 'planner.yaml', planner_yaml().encode())
    page = _ROOT / 'docs' / 'planner-nodes.md'
    write_atomically(page, documented(page.read_text(encoding='utf-8')).encode())


if __name__ == '__main__':
    main()
