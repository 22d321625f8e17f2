# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a robot does, in processes in which importing PyTorch or timm raises."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[3] / 'hyperseg_core'
MAY_IMPORT_TORCH = ('model/', 'training/', 'inference/engines/torch')
WITHOUT_TORCH = (
    'model/__init__.py',
    'model/config.py',
    'model/efficientnet.py',
    'model/levels.py',
)
BLOCK = """
import sys
for name in ('torch', 'timm', 'torchvision', 'onnxscript', 'onnx_ir'):
    sys.modules[name] = None
"""


def run_blocked(code: str, *arguments: str, cache: Path) -> str:
    environment = {
        'XDG_CACHE_HOME': str(cache),
        'HOME': str(cache),
        'PYTHONPATH': ':'.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, '-c', BLOCK + code, *arguments],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize('engine', ['openvino', 'onnxruntime'])
def test_default_segments_at_three_camera_sizes_with_an_empty_cache(
    engine: str, tmp_path: Path
) -> None:
    pytest.importorskip(engine)
    code = """
import numpy as np
from hyperseg_core import Segmenter
segmenter = Segmenter('default', sys.argv[1])
for size in ((480, 640), (720, 1280), (300, 500)):
    found = segmenter(np.zeros((*size, 3), np.uint8))
    assert found.class_ids.shape == found.confidence.shape == size
assert segmenter.spec.name == sys.argv[1]
"""
    run_blocked(code, engine, cache=tmp_path)


def test_auto_takes_what_there_is(tmp_path: Path) -> None:
    pytest.importorskip('openvino')
    code = """
from hyperseg_core import Segmenter
print(Segmenter('fast').spec)
"""
    assert 'openvino on cpu' in run_blocked(code, cache=tmp_path)


def test_commands_export_and_build(tmp_path: Path) -> None:
    pytest.importorskip('openvino')
    code = """
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
for precision in ('f32', 'f16'):
    assert run(['export', sys.argv[1], '--precision', precision], create_app()) == 0
assert run(['build', '--frame-size', '[360, 480]'], create_app()) == 0
assert run(['doctor'], create_app()) == 0
"""
    out = run_blocked(code, str(tmp_path / 'net.onnx'), cache=tmp_path)
    assert 'is ready after' in out
    assert (tmp_path / 'net.onnx').stat().st_size > 5_000_000


def test_graph_is_written_for_every_form(tmp_path: Path) -> None:
    code = """
from hyperseg_core import load_checkpoint
from hyperseg_core.deploy.forms import FORMS
from hyperseg_core.deploy.graph import build_graph
for form in FORMS:
    for precision in ('f32', 'f16'):
        build_graph(load_checkpoint('fast'), (256, 384), form=form, precision=precision)
"""
    run_blocked(code, cache=tmp_path)


def test_asking_for_torch_says_what_is_missing(tmp_path: Path) -> None:
    code = """
from hyperseg_core import EngineError
from hyperseg_core import Segmenter
try:
    Segmenter('fast', 'torch')
except EngineError as error:
    print(error)
"""
    assert 'pip install torch timm' in run_blocked(code, cache=tmp_path)


@pytest.mark.parametrize(
    'path', sorted(ROOT.rglob('*.py')), ids=lambda p: str(p.relative_to(ROOT))
)
def test_only_network_training_and_its_engine_import_torch(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name.startswith(MAY_IMPORT_TORCH) and name not in WITHOUT_TORCH:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or '']
        else:
            continue
        tops = {name.partition('.')[0] for name in names}
        assert not tops & {'torch', 'timm', 'torchvision', 'pytorch_lightning'}
