# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import EngineError
from hyperseg_core import InputError
from hyperseg_core import Segmenter
from hyperseg_core import load_checkpoint
from hyperseg_core.drive import DriveScene
from hyperseg_core.inference import preparation
from hyperseg_core.preprocessing import network_size

ENGINES = ('torch', 'onnxruntime', 'openvino')


@pytest.fixture(scope='module')
def segmenter(small_checkpoint: Path) -> Segmenter:
    return Segmenter(small_checkpoint, 'torch')


@pytest.fixture
def frame() -> np.ndarray:
    return DriveScene(1, height=120, width=160).frame(2.0).image


@pytest.mark.parametrize('engine', ENGINES)
def test_engines_agree_with_torch_at_the_images_own_size(
    engine: str, small_checkpoint: Path, segmenter: Segmenter, frame: np.ndarray
) -> None:
    if engine != 'torch':
        pytest.importorskip(engine)
    other = Segmenter(small_checkpoint, engine)
    found, expected = other(frame), segmenter(frame)
    assert found.class_ids.shape == found.confidence.shape == frame.shape[:2]
    assert found.class_ids.dtype == found.confidence.dtype == np.uint8
    assert (found.class_ids == expected.class_ids).mean() >= 0.999
    difference = found.confidence.astype(int) - expected.confidence
    assert np.abs(difference).mean() < 1
    assert other.spec.name == engine
    other.close()
    with pytest.raises(EngineError, match='closed'):
        other(frame)


def test_list_of_different_sizes_keeps_its_order(segmenter: Segmenter, frame: np.ndarray) -> None:
    frames = [frame, frame[:64, :100], frame[:, ::-1]]
    found = segmenter(frames)
    for image, result in zip(frames, found, strict=True):
        alone = segmenter(np.ascontiguousarray(image))
        assert np.array_equal(result.class_ids, alone.class_ids)


def test_large_frames_get_the_networks_ids_enlarged(segmenter: Segmenter) -> None:
    frame = DriveScene(1, height=720, width=1080).frame(2.0).image
    ids = segmenter(frame).class_ids
    assert ids.shape == (720, 1080)
    blocks = ids[: 720 // 5 * 5].reshape(144, 5, 1080)
    assert (blocks == blocks[:, 2:3]).mean() > 0.95


def test_grey_rgba_and_reversed_strides_are_taken(segmenter: Segmenter, frame: np.ndarray) -> None:
    grey = frame[..., 0]
    expected = segmenter(np.repeat(grey[..., None], 3, 2)).class_ids
    assert np.array_equal(segmenter(grey).class_ids, expected)
    rgba = np.dstack((frame, np.zeros_like(grey)))
    assert np.array_equal(segmenter(rgba).class_ids, segmenter(frame).class_ids)
    assert segmenter(frame[::-1, ::-1]).class_ids.shape == frame.shape[:2]


@pytest.mark.parametrize(
    ('image', 'match'),
    [
        (np.zeros((480, 640, 3), np.float32), r'type float32, expected \(H, W, 3\) uint8'),
        (np.zeros((0, 640, 3), np.uint8), r'shape \(0, 640, 3\).*sides of 1 to'),
        (np.zeros((48, 64, 2), np.uint8), r'shape \(48, 64, 2\)'),
        (np.zeros((1, 1, 1, 3), np.uint8)[0, 0], r'shape \(1, 3\)|grey'),
        ('frame.png', r'is a str, expected a NumPy array'),
    ],
)
def test_bad_images_are_told_what_is_expected(
    image: object, match: str, segmenter: Segmenter
) -> None:
    if isinstance(image, np.ndarray) and image.ndim == 2:
        segmenter(image)  # two dimensions are a grey image
        return
    with pytest.raises(InputError, match=match):
        segmenter([image])  # type: ignore[list-item]


def test_confidence_threshold_turns_unsure_pixels_to_255(
    small_checkpoint: Path, frame: np.ndarray
) -> None:
    strict = Segmenter(small_checkpoint, 'torch', confidence_threshold=0.6)
    found = strict(frame)
    unsure = found.confidence < round(0.6 * 255)
    assert unsure.any()
    assert (found.class_ids[unsure] == 255).all()
    assert (found.class_ids[~unsure] != 255).all()


def test_network_size_policy(small_checkpoint: Path) -> None:
    config = load_checkpoint(small_checkpoint).config
    assert network_size((120, 160), config) == (128, 192)
    assert network_size((1080, 1920), config) == (128, 192)
    assert network_size((100, 400), config) == (64, 320)
    assert network_size((480, 640), config, (256, 320)) == (256, 320)
    with pytest.raises(ConfigError, match=r'250 x 320 px must be multiples of 64.*256 x 320'):
        network_size((480, 640), config, (250, 320))


def test_cuda_without_cuda_says_so(small_checkpoint: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip('there is CUDA here')
    with pytest.raises(EngineError, match=r'no NVIDIA driver; use `device: cpu`'):
        Segmenter(small_checkpoint, 'torch', 'cuda')


def test_missing_engine_names_the_pip_line(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(EngineError, match='pip install openvino'):
        Segmenter(small_checkpoint, 'openvino')


def test_failing_engine_falls_back_with_a_warning(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('openvino')

    def refuse(*_: object) -> None:
        raise EngineError('OpenVINO is broken today.')

    good = preparation.graph_engine
    monkeypatch.setattr(
        preparation, 'graph_engine', lambda name: refuse if name == 'openvino' else good(name)
    )
    fallen = Segmenter(small_checkpoint, 'auto', 'cpu')
    assert fallen.spec.name in {'onnxruntime', 'torch'}
    assert 'OpenVINO is broken today. Falling back to' in caplog.text


def test_old_names_warn(segmenter: Segmenter, frame: np.ndarray) -> None:
    found = segmenter(frame)
    with pytest.warns(DeprecationWarning, match='class_ids'):
        assert found.labels is found.class_ids
    with pytest.warns(DeprecationWarning, match='label_set'):
        assert segmenter.labels is segmenter.label_set
    with pytest.warns(DeprecationWarning, match='label_set'):
        assert segmenter.checkpoint.labels is segmenter.label_set


def test_prepared_size_is_ready(small_checkpoint: Path) -> None:
    segmenter = Segmenter(small_checkpoint, 'torch')
    frame = np.zeros((100, 150, 3), np.uint8)
    assert not segmenter.is_ready(frame)
    segmenter.prepare((100, 150))
    assert segmenter.is_ready(frame)
