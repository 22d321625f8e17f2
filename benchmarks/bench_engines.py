# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engines against the plain network and its plain export, whole path, ratios from one run.

For each model: the plain eager network (benchmarks/plain.py), its plain export on each engine, and
our graph on each engine; from uint8 frame at the network's size to uint8 ids. Labels are compared
before anything is timed. A checkpoint is compared with lite0 and camvid-s's decoder.
"""

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import tempfile
from typing import Any
import warnings

from bench_model import calibrate
import numpy as np
from plain import PlainHyperSeg
import torch

from hyperseg_core import Checkpoint
from hyperseg_core import build_model
from hyperseg_core import load_checkpoint
from hyperseg_core import load_labels
from hyperseg_core.commands.bench import timed
from hyperseg_core.commands.hardware import describe_machine
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engines import graph_engine

BASELINE = Path(__file__).with_name('lite0-camvid-s.yaml')
LABELS = {'camvid': 'camvid', 'cityscapes': 'cityscapes', 'lite0': 'camvid', 'vocsbd': 'voc'}
SPECS = (
    EngineSpec('onnxruntime', 'cpu', 'f32'),
    EngineSpec('openvino', 'cpu', 'f32'),
    EngineSpec('openvino', 'cpu', 'bf16'),
)


def plain_runner(path: Path, spec: EngineSpec, frames: np.ndarray) -> Callable[[], np.ndarray]:
    """Load a plain export, which has one output."""
    if spec.name == 'onnxruntime':
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(
            str(path), options, providers=['CPUExecutionProvider']
        )
        name = session.get_inputs()[0].name
        return lambda: session.run(None, {name: frames})[0]
    import openvino

    options = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': spec.precision}
    request = openvino.Core().compile_model(str(path), 'CPU', options).create_infer_request()
    return lambda: request.infer([frames], share_inputs=True)[0]


def measure(name: str, checkpoint: Checkpoint, plain: PlainHyperSeg, runs: int) -> dict[str, Any]:
    """Measure one model."""
    height, width = checkpoint.config.size
    image = DriveScene(1, height=height, width=width).frame(2.0).image
    frames = np.ascontiguousarray(image[None])
    tensor = torch.from_numpy(frames)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        # Void, the output beyond the labels, is published as unlabelled.
        is_label = np.arange(256) < len(checkpoint.label_set)
        publish = np.where(is_label, np.arange(256), 255)
        expected = publish[plain(tensor).numpy()]
        eager_ms = float(np.median(timed(lambda: plain(tensor), max(runs // 3, 3), 1)))
        rows['plain eager torch f32'] = {'ms': eager_ms}
        path = Path(folder, 'plain.onnx')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            torch.onnx.export(plain, (tensor,), dynamo=True, opset_version=18, verbose=False).save(
                path
            )
        for spec in SPECS:
            run = plain_runner(path, spec, frames)
            agreement = float((publish[run()] == expected).mean())
            durations = timed(run, runs, 3)
            rows[f'plain {spec}'] = {'ms': float(np.median(durations)), 'agrees': agreement}
            graph = build_graph(checkpoint, (height, width), form=spec.form).SerializeToString()
            engine = graph_engine(spec.name)(graph, spec, NoFiles())
            agreement = float((engine.run(frames)[0] == expected).mean())
            durations = timed(lambda e=engine: e.run(frames), runs, 3)
            rows[f'ours {spec}'] = {'ms': float(np.median(durations)), 'agrees': agreement}
            engine.close()
    for row in rows.values():
        row['times_eager'] = eager_ms / row['ms']
    return {'model': name, 'size': [height, width], 'rows': rows}


def render(results: list[dict[str, Any]]) -> str:
    """Return Markdown tables."""
    lines = []
    for result in results:
        lines += [f'### {result["model"]}, {result["size"][0]}x{result["size"][1]}', '']
        lines += [
            '| path | ms (median) | times eager | labels agree |',
            '| --- | --- | --- | --- |',
        ]
        lines += [
            f'| {name} | {row["ms"]:.1f} | {row["times_eager"]:.2f} | {row.get("agrees", 1):.4f} |'
            for name, row in result['rows'].items()
        ]
        lines.append('')
    return '\n'.join(lines)


def preset_checkpoint(preset: str | Path) -> Checkpoint:
    """Return a preset with calibrated random weights."""
    torch.manual_seed(0)
    model = calibrate(build_model(preset))
    labels = load_labels(LABELS[model.config.name.split('-')[0]])
    return Checkpoint.of_model(model, labels, digest=f'benchmark {preset}')


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'models', nargs='*', default=['default', 'camvid-s', 'cityscapes-m', 'cityscapes-s']
    )
    parser.add_argument('--runs', type=int, default=20)
    parser.add_argument('--output', type=Path)
    options = parser.parse_args()
    results = []
    for name in options.models:
        if name == 'default' or name.endswith('.safetensors'):
            baseline = preset_checkpoint(BASELINE)
            plain = PlainHyperSeg(baseline.model).eval()
            results.append(measure('lite0 with camvid-s decoder', baseline, plain, options.runs))
            checkpoint = load_checkpoint(name)
        else:
            checkpoint = preset_checkpoint(name)
        results.append(
            measure(name, checkpoint, PlainHyperSeg(checkpoint.model).eval(), options.runs)
        )
        print(render(results[-1:]), flush=True)
    machine = ', '.join(f'{key} {value}' for key, value in describe_machine().items())
    text = f'{render(results)}\nMedians of {options.runs} runs; {machine}; no GPU was available.\n'
    print(text)
    if options.output:
        options.output.write_text(text, encoding='utf-8')
        options.output.with_suffix('.json').write_text(json.dumps(results, indent=2))


if __name__ == '__main__':
    main()
