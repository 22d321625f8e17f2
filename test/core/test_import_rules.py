# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = ('rclpy', 'launch', 'launch_ros', 'cv_bridge', 'ament_', 'hyperseg_ros')


def _is_forbidden(name: str) -> bool:
    top = name.split('.')[0]
    return top.startswith(FORBIDDEN) or top.endswith('_msgs')


@pytest.mark.parametrize('path', sorted(ROOT.glob('hyperseg_core/**/*.py')), ids=lambda p: p.name)
def test_core_imports_no_ros(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or '']
        else:
            continue
        assert not [name for name in names if _is_forbidden(name)]


def test_importing_core_loads_no_ros() -> None:
    code = 'import hyperseg_core, sys; print("\\n".join(sys.modules))'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    loaded = [name for name in out.stdout.split() if _is_forbidden(name)]
    assert not loaded


def test_no_module_runs_pickled_or_evaluated_code() -> None:
    for path in ROOT.glob('hyperseg_*/**/*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {'eval', 'exec'}, path
