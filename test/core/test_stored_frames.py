# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frames that checkpoints carry: the network's answers, covered by the digest."""

from pathlib import Path

import numpy as np
from old_checkpoint import write_version_1
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
import torch

from hyperseg_core import CheckpointError
from hyperseg_core import load_checkpoint
from hyperseg_core import save_checkpoint
from hyperseg_core.checkpoint_file import digest
from hyperseg_core.model.pixels import normalise
from hyperseg_core.stored_frames import PREFIX
from hyperseg_core.stored_frames import StoredFrame
from hyperseg_core.stored_frames import decode_frames
from hyperseg_core.stored_frames import encode_frames


def rewrite(source: Path, out: Path, changes: dict[str, np.ndarray], *, sign: bool) -> Path:
    with safe_open(source, 'np') as file:
        state = {key: file.get_tensor(key) for key in file.keys()} | changes
        metadata = dict(file.metadata())
    if sign:
        metadata['digest'] = digest(state, metadata)
    save_file(state, out, metadata)
    return out


def test_frames_round_trip_without_loss() -> None:
    rng = np.random.default_rng(0)
    frames = tuple(
        StoredFrame(
            rng.integers(0, 256, (6, 9, 3), dtype=np.uint8),
            rng.choice(np.array([0, 3, 255], np.uint8), (6, 9)),
            rng.integers(0, 256, (6, 9), dtype=np.uint8),
        )
        for _ in range(2)
    )
    tensors = encode_frames(frames)
    assert all(
        key.startswith(PREFIX) and array.dtype == np.uint8 for key, array in tensors.items()
    )
    for before, after in zip(frames, decode_frames(tensors), strict=True):
        assert np.array_equal(before.image, after.image)
        assert np.array_equal(before.class_ids, after.class_ids)
        assert np.array_equal(before.confidence, after.confidence)
    assert decode_frames({}) == ()


def test_checkpoint_carries_what_its_network_answers(small_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    frames = checkpoint.frames()
    assert len(frames) == 2
    assert not any(key.startswith(PREFIX) for key in checkpoint.tensors())
    for frame in frames:
        assert frame.image.shape == (*checkpoint.config.size, 3)
        images = torch.from_numpy(frame.image).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = checkpoint.model(normalise(images, checkpoint.config))
        assert (logits.argmax(1)[0].numpy() == frame.class_ids).mean() >= 0.9999
        expected = 255 * logits.softmax(1).amax(1)[0].numpy()
        assert np.abs(frame.confidence - expected).max() <= 1


def test_half_precision_answers_with_the_weights_that_are_stored(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    whole = load_checkpoint(small_checkpoint)
    first, second = (tmp_path / f'{name}.safetensors' for name in 'ab')
    save_checkpoint(first, whole.model, whole.label_set, half=True)
    rounded = load_checkpoint(first)
    save_checkpoint(second, rounded.model, rounded.label_set, half=True)
    assert load_checkpoint(first).digest == load_checkpoint(second).digest


def test_saving_leaves_a_network_in_training_as_it_is(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    model = checkpoint.model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    path = save_checkpoint(tmp_path / 'x.safetensors', model, checkpoint.label_set)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    for saved, frame in zip(load_checkpoint(path).frames(), checkpoint.frames(), strict=True):
        assert np.array_equal(saved.class_ids, frame.class_ids)


def test_old_file_loads_and_gets_frames_when_it_is_saved_again(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    old = load_checkpoint(write_version_1(small_checkpoint, tmp_path / 'old.safetensors'))
    assert old.frames() == ()
    new = save_checkpoint(tmp_path / 'new.safetensors', old.model, old.label_set)
    assert len(load_checkpoint(new).frames()) == 2
    for key, value in old.tensors().items():
        assert np.array_equal(load_checkpoint(new).tensors()[key], value)


def test_old_infinite_variance_is_saved_as_a_number_that_means_the_same(
    small_checkpoint: Path, tmp_path: Path
) -> None:
    key = 'decoder.meta_blocks.3.norms.1.running_var'
    variance = load_checkpoint(small_checkpoint).tensors()[key].astype(np.float16)
    variance[0] = np.inf
    path = rewrite(small_checkpoint, tmp_path / 'a.safetensors', {key: variance}, sign=True)
    old = load_checkpoint(path)
    saved = save_checkpoint(tmp_path / 'b.safetensors', old.model, old.label_set)
    again = load_checkpoint(saved)
    assert np.isfinite(again.tensors()[key]).all()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again.model(images), old.model(images))


def test_changed_frame_is_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    changes = {f'{PREFIX}0.class_ids': np.zeros(9, np.uint8)}
    path = rewrite(small_checkpoint, tmp_path / 'a.safetensors', changes, sign=False)
    with pytest.raises(CheckpointError, match='changed after it was saved'):
        load_checkpoint(path)
    path = rewrite(small_checkpoint, tmp_path / 'b.safetensors', changes, sign=True)
    with pytest.raises(CheckpointError, match=r'no readable hyperseg.frames.0.class_ids'):
        load_checkpoint(path).frames()


def test_answers_of_another_size_are_refused(small_checkpoint: Path, tmp_path: Path) -> None:
    frame = load_checkpoint(small_checkpoint).frames()[0]
    wrong = StoredFrame(frame.image, frame.class_ids[:9], frame.confidence)
    path = rewrite(small_checkpoint, tmp_path / 'a.safetensors', encode_frames([wrong]), sign=True)
    with pytest.raises(CheckpointError, match='frame 0 and its answers have different sizes'):
        load_checkpoint(path).frames()


def test_bytes_are_taken_for_frames_only(small_checkpoint: Path, tmp_path: Path) -> None:
    changes = {'backbone.bn1.bias': np.zeros(32, np.uint8)}
    path = rewrite(small_checkpoint, tmp_path / 'a.safetensors', changes, sign=True)
    with pytest.raises(CheckpointError, match='type U8, expected F32 or F16'):
        load_checkpoint(path)
