# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import gc
import json
from pathlib import Path
from typing import Any
import weakref

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save as save_numpy
from safetensors.torch import save_file
import torch

from hyperseg_core import CheckpointError
from hyperseg_core import ConfigError
from hyperseg_core import build_model
from hyperseg_core import load_checkpoint
from hyperseg_core import save_checkpoint
from hyperseg_core.checkpoint_file import digest
from hyperseg_core.labels import load_labels
from hyperseg_core.model.hyperseg import HyperSeg


@pytest.fixture(scope='module')
def model() -> HyperSeg:
    torch.manual_seed(0)
    return build_model('lite0').eval()


@pytest.fixture
def saved(model: HyperSeg, tmp_path: Path) -> Path:
    return save_checkpoint(
        tmp_path / 'net.safetensors',
        model,
        load_labels('camvid'),
        provenance={'source': 'test', 'licence': 'Apache-2.0'},
        scores={'val': {'mean_iou': 0.5}},
    )


def _rewrite(path: Path, *, tensors: dict[str, Any] | None = None, **metadata: str) -> None:
    with safe_open(path, 'pt') as file:
        state = {key: file.get_tensor(key) for key in file.keys()}
        header = dict(file.metadata())
    save_file(state | (tensors or {}), path, header | metadata)


def test_round_trip_restores_everything(model: HyperSeg, saved: Path) -> None:
    checkpoint = load_checkpoint(saved)
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(checkpoint.model(images), model(images))
    assert checkpoint.model.config == model.config
    assert checkpoint.label_set == load_labels('camvid')
    assert checkpoint.provenance['licence'] == 'Apache-2.0'
    assert checkpoint.scores['val']['mean_iou'] == 0.5


def test_network_is_kept_while_it_is_used_and_read_again_afterwards(saved: Path) -> None:
    checkpoint = load_checkpoint(saved)
    network = checkpoint.model
    assert checkpoint.model is network
    gone, weights = weakref.ref(network), network.state_dict()
    del network
    gc.collect()
    assert gone() is None
    again = checkpoint.model.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in weights.items())


def test_file_that_was_replaced_or_removed_meanwhile_is_refused(
    model: HyperSeg, saved: Path
) -> None:
    checkpoint = load_checkpoint(saved)
    save_checkpoint(saved, model, load_labels('camvid'), scores={'val': {'mean_iou': 0.6}})
    with pytest.raises(CheckpointError, match='replaced by another checkpoint meanwhile'):
        _ = checkpoint.model
    saved.unlink()
    with pytest.raises(CheckpointError, match='No such file'):
        _ = checkpoint.model


def test_half_precision_halves_the_file_and_nearly_keeps_the_weights(
    model: HyperSeg, saved: Path, tmp_path: Path
) -> None:
    half = save_checkpoint(tmp_path / 'half.safetensors', model, load_labels('camvid'), half=True)
    assert half.stat().st_size < 0.55 * saved.stat().st_size
    for mine, theirs in zip(
        load_checkpoint(half).model.parameters(), model.parameters(), strict=True
    ):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


def test_loading_asks_no_network(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError('the network was asked')

    monkeypatch.setattr(socket.socket, 'connect', refuse)
    load_checkpoint(saved)


def test_truncated_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r'truncated or no safetensors.*Copy it again'):
        load_checkpoint(saved)


def test_foreign_safetensors_is_refused(tmp_path: Path) -> None:
    save_file({'a': torch.zeros(1)}, tmp_path / 'a.safetensors')
    with pytest.raises(CheckpointError, match='no hyperseg checkpoint'):
        load_checkpoint(tmp_path / 'a.safetensors')


def test_other_version_is_refused(saved: Path) -> None:
    _rewrite(saved, format_version='99')
    with pytest.raises(CheckpointError, match='format version 99, but this release reads'):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    'change', [{'scores': '{}'}, {'tensors': {'backbone.bn1.bias': torch.ones(32)}}]
)
def test_tampered_file_is_refused(saved: Path, change: dict[str, Any]) -> None:
    _rewrite(saved, **change)
    with pytest.raises(CheckpointError, match='changed after it was saved'):
        load_checkpoint(saved)


def test_tensors_that_do_not_fit_the_network_are_refused(saved: Path) -> None:
    _rewrite(saved, tensors={'backbone.bn1.bias': torch.ones(3)})
    with safe_open(saved, 'np') as file:
        signed = digest({key: file.get_tensor(key) for key in file.keys()}, file.metadata())
    _rewrite(saved, digest=signed)
    with pytest.raises(CheckpointError, match=r'bn1.bias has shape \(3,\), .* needs \(32,\)'):
        _ = load_checkpoint(saved).model


def test_tensors_of_other_types_are_refused(saved: Path) -> None:
    _rewrite(saved, tensors={'backbone.bn1.bias': torch.ones(32, dtype=torch.bfloat16)})
    with pytest.raises(CheckpointError, match='type BF16, expected F32 or F16'):
        load_checkpoint(saved)


def test_unknown_name_lists_what_is_shipped() -> None:
    with pytest.raises(FileNotFoundError, match=r"No checkpoint 'nope'.*shipped"):
        load_checkpoint('nope')


def test_labels_that_do_not_fit_are_refused(model: HyperSeg, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"11 classes but label set 'cityscapes' has 19"):
        save_checkpoint(tmp_path / 'x.safetensors', model, load_labels('cityscapes'))


def test_fused_network_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='fused'):
        save_checkpoint(
            tmp_path / 'x.safetensors', build_model('lite0').fuse(), load_labels('camvid')
        )


def test_failed_write_keeps_the_old_file(
    model: HyperSeg, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match='No space left'):
        save_checkpoint(saved, model, load_labels('camvid'))
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_annotate_adds_scores_and_terms(saved: Path, tmp_path: Path) -> None:
    import json

    from hyperseg_core.cli import create_app
    from hyperseg_core.cli import run

    scores, out = tmp_path / 'scores.json', tmp_path / 'out.safetensors'
    scores.write_text(json.dumps({'data': 'drive', 'split': 'test', 'mean_iou': 0.5}))
    arguments = ['annotate', str(saved), str(out), '--scores', str(scores), '--licence', 'mine']
    assert run(arguments, create_app()) == 0
    checkpoint = load_checkpoint(out)
    assert checkpoint.scores['drive test']['mean_iou'] == 0.5
    assert checkpoint.scores['val'] == {'mean_iou': 0.5}
    assert checkpoint.provenance['licence'] == 'mine'


def test_half_precision_keeps_variances_that_it_cannot_hold(
    model: HyperSeg, tmp_path: Path
) -> None:
    import copy

    loud = copy.deepcopy(model)
    loud.decoder.meta_blocks[-1].norms[-1].running_var[0] = 1e6
    path = save_checkpoint(tmp_path / 'loud.safetensors', loud, load_labels('camvid'), half=True)
    kept = load_checkpoint(path).model
    assert kept.decoder.meta_blocks[-1].norms[-1].running_var[0] == 1e6


def _edited(saved: Path, target: Path, edit: dict[str, str], tensors: dict[str, Any]) -> Path:
    """Write a copy with other metadata and tensors, signed as if it were meant."""
    with safe_open(saved, framework='np') as file:
        metadata = dict(file.metadata()) | edit
        state = {key: file.get_tensor(key) for key in file.keys()} | tensors
    metadata['digest'] = digest(state, metadata)
    target.write_bytes(save_numpy(state, metadata))
    return target


def _with(saved: Path, part: str, **values: Any) -> dict[str, str]:
    with safe_open(saved, framework='np') as file:
        found = json.loads(file.metadata()[part])
    for path, value in values.items():
        place = found
        *outer, last = path.split('__')
        for key in outer:
            place = place[key]
        place[last] = value
    return {part: json.dumps(found)}


HOSTILE: dict[str, tuple[str, Any]] = {
    'hub': ('model', {'backbone__name': 'hf-hub:someone/something'}),
    'local folder': ('model', {'backbone__name': 'local-dir:/etc'}),
    'levels': ('model', {'context_head__levels': 40}),
    'no levels': ('model', {'context_head__levels': 0}),
    'channels': ('model', {'decoder__channels': [10**9, 32, 32]}),
    'negative channels': ('model', {'decoder__channels': [-1, 32, 32]}),
    'groups': ('model', {'decoder__groups': [0, 32, 32, 16]}),
    'expansion': ('model', {'decoder__expansion': 10**6}),
    'taps': ('model', {'backbone__tap_scales': [1e9, 0.5, 0.5, 0.25, 0.25]}),
    'depths': ('model', {'backbone__depths': [10**6] * 7}),
    'nominal size': ('model', {'backbone__nominal_size': 10**9}),
    'size': ('model', {'size': [10**6, 10**6]}),
    'std 0': ('model', {'std': [0.0, 0.5, 0.5]}),
    'a million digits': ('model', {'num_classes': 10**400}),
    'classes': ('model', {'num_classes': True}),
    'unified': ('model', {'decoder__unified_from': -3}),
    'refinement': ('model', {'decoder__refinement_width': 10**12}),
    'other mean': ('preprocessing', {'mean': [0.1, 0.2, 0.3]}),
    'other size': ('preprocessing', {'size': [64, 64]}),
}


@pytest.mark.parametrize('name', list(HOSTILE))
def test_values_that_cannot_be_meant_are_one_short_error(
    name: str, saved: Path, tmp_path: Path
) -> None:
    part, values = HOSTILE[name]
    path = _edited(saved, tmp_path / 'x.safetensors', _with(saved, part, **values), {})
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert len(str(caught.value)) < 600 + len(str(path))


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('{', 'is no JSON'),
        ('[' * 100_000, 'nested too deep'),
        ('{"num_classes": ' + '9' * 6000 + '}', 'is no JSON'),
        ('{"mean": [NaN, 0, 0]}', 'NaN is no number'),
        ('{"mean": [Infinity, 0, 0]}', 'Infinity is no number'),
        ('[]', 'must be a mapping'),
        ('{"x": "' + 'a' * 10_000 + '"}', 'unknown key'),
        ('{"' + 'a' * 10_000 + '": 1}', 'unknown key'),
    ],
)
def test_json_that_is_none_is_one_short_error(
    text: str, told: str, saved: Path, tmp_path: Path
) -> None:
    path = _edited(saved, tmp_path / 'x.safetensors', {'model': text}, {})
    with pytest.raises(CheckpointError, match=told) as caught:
        load_checkpoint(path)
    assert len(str(caught.value)) < 600 + len(str(path))


@pytest.mark.parametrize(
    ('key', 'value', 'told'),
    [
        ('backbone.conv_stem.weight', np.nan, 'NaN or infinite'),
        ('backbone.conv_stem.weight', np.inf, 'NaN or infinite'),
        ('backbone.bn1.running_var', -1.0, 'negative variances'),
        ('backbone.bn1.running_mean', -np.inf, 'NaN or infinite'),
    ],
)
def test_numbers_that_are_none_are_refused(
    key: str, value: float, told: str, saved: Path, tmp_path: Path
) -> None:
    with safe_open(saved, framework='np') as file:
        tensor = file.get_tensor(key).copy()
    tensor.reshape(-1)[0] = value
    path = _edited(saved, tmp_path / 'x.safetensors', {}, {key: tensor})
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(path)
