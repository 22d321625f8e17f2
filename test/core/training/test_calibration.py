# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One temperature: fitted on data, stored in the checkpoint, folded into every engine."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core import save_checkpoint
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.drive.scene import DriveScene
from hyperseg_core.metrics import Reliability
from hyperseg_core.metrics import confidence_counts
from hyperseg_core.render import write_png
from hyperseg_core.stored_frames import rendered_images
from hyperseg_core.training.calibration import likeliest_temperature


def with_temperature(checkpoint: Path, out: Path, temperature: float) -> Path:
    loaded = load_checkpoint(checkpoint)
    model = loaded.model
    model.config = dataclasses.replace(model.config, temperature=temperature)
    save_checkpoint(out, model, loaded.label_set)
    model.config = loaded.config
    return out


def test_likeliest_temperature_undoes_what_logits_were_multiplied_by() -> None:
    torch.manual_seed(0)
    logits = 2 * torch.randn(20_000, 5)
    labels = torch.distributions.Categorical(logits=logits).sample()
    for factor in (0.4, 1.0, 3.0):
        found = likeliest_temperature(factor * logits, labels)
        assert found == pytest.approx(factor, rel=0.05)


def test_error_is_the_mean_distance_of_confidence_and_accuracy() -> None:
    # 0.8 sure and right half of the time; 0.2 sure and always right; unlabelled pixels aside.
    truth = np.array([1, 1, 2, 2, 255], np.uint8)
    prediction = np.array([1, 0, 2, 2, 2], np.uint8)
    confidence = np.array([204, 204, 51, 51, 7], np.uint8)
    counts = confidence_counts(truth, prediction, confidence)
    assert counts[:, 204].tolist() == [2, 1]
    assert counts.sum(1).tolist() == [4, 3]
    reliability = Reliability.from_counts(counts)
    assert reliability.expected_calibration_error == pytest.approx(0.5 * 0.3 + 0.5 * 0.8)
    assert sum(reliability.shares) == pytest.approx(1)
    assert json.loads(json.dumps(reliability.to_dict()))['reliability']['accuracies'][0] is None


@pytest.mark.parametrize('engine', ['openvino', 'onnxruntime', 'torch'])
@pytest.mark.parametrize('size', [(128, 192), (128, 193), (32, 48)])
def test_every_engine_divides_by_the_temperature(
    small_checkpoint: Path, tmp_path: Path, engine: str, size: tuple[int, int]
) -> None:
    """Upsampled by products, by interpolation, and not at all; never another class."""
    image = np.ascontiguousarray(np.resize(rendered_images((128, 192), 1)[0], (*size, 3)))
    cool = with_temperature(small_checkpoint, tmp_path / 'cool.safetensors', 0.5)
    plain, cooled = (
        Segmenter(path, engine, 'cpu', 'f32', (128, 192))(image)
        for path in (small_checkpoint, cool)
    )
    assert (plain.class_ids == cooled.class_ids).mean() > 0.999
    reference = Segmenter(cool, 'torch', 'cpu', 'f32', (128, 192))(image)
    assert np.abs(reference.confidence.astype(int) - cooled.confidence).max() <= 2
    assert cooled.confidence.mean() > plain.confidence.mean() + 5


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """Return the description of two rendered streets."""
    for index in range(2):
        frame = DriveScene(10_000 + index, height=240, width=320).frame(2.0)
        write_png(tmp_path / f'{index}.png', frame.image)
        write_png(tmp_path / f'{index}_ids.png', frame.labels)
    path = tmp_path / 'data.yaml'
    path.write_text(
        'labels: camvid\nsplits:\n  val: {images: "?.png", labels: "{stem}_ids.png"}\n'
    )
    return path


def test_temperature_is_fitted_stored_and_kept(streets: Path, tmp_path: Path) -> None:
    sure = with_temperature(Path('fast'), tmp_path / 'sure.safetensors', 0.05)
    out, kept = tmp_path / 'out.safetensors', tmp_path / 'kept.safetensors'
    app = create_app()
    data = ['--data', 'folder', '--root', str(streets)]
    assert run(['calibrate', str(sure), str(out), *data], app) == 0
    fitted = load_checkpoint(out)
    assert 0.3 < fitted.config.temperature < 3
    assert fitted.provenance['calibration']['temperature'] == fitted.config.temperature
    assert run(['annotate', str(out), str(kept)], app) == 0
    assert load_checkpoint(kept).config.temperature == fitted.config.temperature
    errors = []
    for checkpoint in (sure, kept):
        words = [
            'evaluate',
            '--checkpoint',
            str(checkpoint),
            *data,
            '--output',
            str(tmp_path / 'o'),
        ]
        assert run([*words, '--engine', 'openvino'], app) == 0
        report = json.loads((tmp_path / 'o/scores.json').read_text())
        errors.append(report['expected_calibration_error'])
    assert errors[1] < errors[0]


def test_network_that_knows_nothing_is_not_calibrated(
    small_checkpoint: Path, streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out.safetensors'
    words = ['calibrate', str(small_checkpoint), str(out), '--data', 'folder']
    assert run([*words, '--root', str(streets)], create_app()) == 2
    assert 'Train it first' in capsys.readouterr().err
    assert not out.exists()


def test_calibrating_on_test_or_on_other_classes_is_refused(
    small_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out.safetensors'
    base = ['calibrate', str(small_checkpoint), str(out), '--data']
    assert run([*base, 'drive', '--split', 'test'], create_app()) == 2
    assert '--split test' in capsys.readouterr().err
    assert run([*base, 'cityscapes', '--root', str(tmp_path)], create_app()) == 2
    assert not out.exists()
