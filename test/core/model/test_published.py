# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path
import pickle
from typing import Any
import zipfile

import numpy as np
import pytest
from reference_case import ReferenceCase
from reference_case import load_reference_case
import torch

from hyperseg_core import CheckpointError
from hyperseg_core import import_published
from hyperseg_core import load_checkpoint
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.model.published import PUBLISHED_PRESETS
from hyperseg_core.model.tensor_files import read_tensors


@pytest.fixture(scope='module')
def camvid_s() -> ReferenceCase:
    return load_reference_case('camvid-s')


@pytest.mark.parametrize('preset', PUBLISHED_PRESETS)
def test_reference_case_agrees_before_and_after_fusing(preset: str) -> None:
    case = load_reference_case(preset)
    model = import_published(case.state_dict)
    assert model.config.name == preset
    assert sum(p.numel() for p in model.parameters()) == case.num_parameters
    with torch.inference_mode():
        logits = model(case.images)
        fused = model.fuse()(case.images)
    scale = float(case.logits.std())
    error = (logits[..., ::2, ::2] - torch.from_numpy(case.logits)).abs().max().item()
    assert error <= 1e-3 * scale
    assert (logits.argmax(1).numpy() == case.labels).mean() >= 0.999
    assert (fused - logits).abs().max() <= 1e-4 * logits.std()


def _training_state(case: ReferenceCase) -> dict[str, Any]:
    return {
        'state_dict': {f'module.{key}': value for key, value in case.state_dict.items()},
        'arch': 'hyperseg_v1_0(...)',
        'epoch': 12,
        'best_iou': np.float64(0.78),
        'optimizer': {'state': {0: {'exp_avg': torch.zeros(3)}}, 'param_groups': [{'lr': 1e-3}]},
        'scheduler': {'last_epoch': np.int64(3)},
    }


@pytest.mark.parametrize('is_training_state', [False, True])
def test_import_reads_files_of_both_kinds(
    camvid_s: ReferenceCase, tmp_path: Path, is_training_state: bool
) -> None:
    path = tmp_path / 'published.pth'
    torch.save(_training_state(camvid_s) if is_training_state else camvid_s.state_dict, path)
    model = import_published(path)
    weight = camvid_s.state_dict['decoder.level_4.0.signal2weights.weight']
    assert torch.equal(model.decoder.weight_mappers[4].conv.weight, weight)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("open('hacked', 'w')",))


@pytest.mark.parametrize('wrap', [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, 2))])
def test_import_never_runs_code_from_the_file(
    wrap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrap({'state_dict': {}, 'extra': _Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'evil.pth is refused.*eval'):
        import_published(tmp_path / 'evil.pth')
    assert not (tmp_path / 'hacked').exists()


def test_import_lists_missing_and_unexpected_keys(camvid_s: ReferenceCase) -> None:
    state = dict(camvid_s.state_dict)
    del state['backbone._conv_stem.weight']
    state['decoder.extra'] = torch.zeros(1)
    with pytest.raises(
        CheckpointError,
        match=r'1 missing: backbone._conv_stem.weight; 1 unexpected: decoder.extra',
    ):
        import_published(state)


def test_import_as_another_preset_names_the_first_difference(camvid_s: ReferenceCase) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit preset 'cityscapes-m'.*_feat_fc_0"):
        import_published(camvid_s.state_dict, 'cityscapes-m')


@pytest.mark.parametrize('content', [{}, {'epoch': 1}, {'weight': torch.zeros(1)}, [1]])
def test_import_refuses_what_is_no_hyperseg(content: Any) -> None:
    with pytest.raises(CheckpointError):
        import_published(content)


@pytest.mark.parametrize('content', [b'', b'no torch file', b'PK\x03\x04 cut off'])
def test_import_refuses_damaged_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / 'broken.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'broken\.pth'):
        import_published(path)


def test_command_writes_a_checkpoint_that_loads(
    camvid_s: ReferenceCase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / 'published.pth', tmp_path / 'out.safetensors'
    torch.save(_training_state(camvid_s), source)
    assert (
        run(['import-published', str(source), str(out), '--preset', 'camvid-s'], create_app()) == 0
    )
    checkpoint = load_checkpoint(out)
    assert checkpoint.void_outputs == 1
    with torch.inference_mode():
        logits = checkpoint.model(camvid_s.images)
    assert (logits.argmax(1).numpy() == camvid_s.labels).mean() >= 0.999
    assert run(['import-published', str(tmp_path / 'none.pth'), str(out)], create_app()) == 2
    assert 'No weights file at' in capsys.readouterr().err


class _Memory:
    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (10**10,)


def _torchscript(path: Path) -> None:
    class Identity(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.trace(Identity(), torch.zeros(1)).save(str(path))


def _legacy_cut(path: Path) -> None:
    torch.save({'a': torch.zeros(300)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-40])


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/data.pkl', b'\x80\x02}q\x00.')
        archive.writestr('a/data/0', bytes(50_000_000))


@pytest.mark.parametrize(
    ('write', 'told'),
    [
        (_torchscript, 'TorchScript'),
        (_legacy_cut, 'not a readable torch file'),
        (_bomb, 'would unpack to 50,0'),
        (lambda path: torch.save({'a': _Memory()}, path), 'raw memory'),
        (
            lambda path: torch.save({'a': _Memory()}, path, _use_new_zipfile_serialization=False),
            'raw memory',
        ),
        (lambda path: path.write_bytes(b'\x80'), 'damaged'),
        (lambda path: path.write_bytes(b''), 'not a readable torch file'),
    ],
)
def test_files_that_are_no_state_are_refused_in_one_short_line(
    write: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    path = tmp_path / 'x.pth'
    write(path)
    with pytest.raises(CheckpointError, match=told) as caught:
        read_tensors(path)
    assert len(str(caught.value)) < 500 + len(str(path))
    assert 'weights_only' not in str(caught.value)


def test_files_of_old_and_new_torch_are_read(tmp_path: Path) -> None:
    for is_new in (True, False):
        path = tmp_path / f'{is_new}.pth'
        torch.save({'a': torch.ones(3)}, path, _use_new_zipfile_serialization=is_new)
        assert read_tensors(path)['a'].tolist() == [1, 1, 1]


@pytest.mark.parametrize('change', [np.nan, -np.inf, 'complex', 'scalar', 'negative'])
def test_numbers_that_no_checkpoint_may_hold_are_refused(
    change: object, camvid_s: ReferenceCase
) -> None:
    state = dict(camvid_s.state_dict)
    name = next(key for key in state if key.endswith('running_var'))
    state[name] = state[name].clone()
    if change == 'complex':
        state[name] = state[name].to(torch.complex64)
    elif change == 'scalar':
        state['decoder.level_4.0.bn3.weight'] = torch.tensor(1.0)
    else:
        state[name][0] = -1.0 if change == 'negative' else change
    with pytest.raises(CheckpointError):
        import_published(state)
