# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What strangers' files, recipes and options may not do: long messages, losses, overwriting."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as PillowImage
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from hyperseg_core import CheckpointError
from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core import load_checkpoint
from hyperseg_core.checkpoint_file import digest
from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.commands.predict import _check_output
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.pairs import read_ids
from hyperseg_core.errors import HyperSegError
from hyperseg_core.files.typed_yaml import build_dataclass
from hyperseg_core.frames.images import names_that_differ
from hyperseg_core.frames.sources import open_frames
from hyperseg_core.frames.video import VideoReader
from hyperseg_core.render import write_png
from hyperseg_core.stored_frames import StoredFrame
from hyperseg_core.stored_frames import encode_frames
from hyperseg_core.training.config import TrainConfig

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def _resealed(source: Path, out: Path, *, tensors: dict[str, Any], **changes: str) -> Path:
    with safe_open(source, 'np') as file:
        state = {key: file.get_tensor(key) for key in file.keys()} | tensors
        metadata = dict(file.metadata()) | changes
    metadata['digest'] = digest(state, metadata)
    save_file(state, out, metadata)
    return out


def test_a_message_keeps_its_beginning_and_its_end() -> None:
    told = str(HyperSegError('begin' + 'x' * 1_000_000 + 'end'))
    assert told.startswith('begin')
    assert told.endswith('end')
    assert len(told) < 1000


@pytest.mark.parametrize(
    ('tensors', 'changes'),
    [
        ({}, {'format_version': '9' * 100_000}),
        ({}, {'provenance': '3'}),
        ({}, {'scores': '[]'}),
        ({'z' * 100_000: np.zeros(1, np.float32)}, {}),
    ],
)
def test_what_a_checkpoint_claims_is_one_short_error(
    tensors: dict[str, Any], changes: dict[str, str], small_checkpoint: Path, tmp_path: Path
) -> None:
    path = _resealed(small_checkpoint, tmp_path / 'x.safetensors', tensors=tensors, **changes)
    with pytest.raises(CheckpointError) as caught:
        assert load_checkpoint(path).model
    assert len(str(caught.value)) < 500 + len(str(path))


@pytest.mark.parametrize('size', [(20, 30), (4000, 4000)])
def test_stored_frames_are_few_and_of_bearable_size(
    size: tuple[int, int], small_checkpoint: Path, tmp_path: Path
) -> None:
    plane = np.zeros(size, np.uint8)
    frame = StoredFrame(np.zeros((*size, 3), np.uint8), plane, plane)
    tensors = encode_frames([frame] * (9 if size[0] < 100 else 2))
    path = _resealed(small_checkpoint, tmp_path / 'x.safetensors', tensors=tensors)
    with pytest.raises(CheckpointError):
        load_checkpoint(path).frames()


@pytest.mark.parametrize('text', ['{', '[]', '{"a": 1}', '\ufffe'])
def test_annotate_refuses_what_is_no_report(
    text: str, small_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 's.json').write_text(text)
    words = ['annotate', str(small_checkpoint), str(tmp_path / 'o.safetensors')]
    assert run([*words, '--scores', str(tmp_path / 's.json')], create_app()) == 2
    assert 's.json' in capsys.readouterr().err
    assert not (tmp_path / 'o.safetensors').exists()


def test_results_of_all_files_have_names_of_their_own() -> None:
    paths = [Path(n) for n in ('a.jpg', 'a.png', 'a_png.bmp', 'a_jpg.png', 'a_jpg.tif', 'b.png')]
    names = names_that_differ(paths)
    assert len(set(names)) == len(paths)
    assert names[2] == 'a_png'
    assert names[-1] == 'b'


def test_a_link_to_nothing_is_a_loss(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), PICTURE)
    (tmp_path / 'b.png').symlink_to(tmp_path / 'nowhere.png')
    frames = open_frames(tmp_path)
    assert [name for name, _ in frames] == ['a']
    assert len(frames.problems) == 1


@pytest.mark.parametrize('name', ['ids/a.png', 'overlays/a.png'])
def test_pictures_are_not_written_over(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir()
    cv2.imwrite(str(path), PICTURE)
    for source in (path, path.parent):
        with pytest.raises(ConfigError, match='overwritten'):
            _check_output(tmp_path, open_frames(source))
        _check_output(tmp_path / 'out', open_frames(source))


def test_a_video_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / 'overlay.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 5.0, (32, 32))
    for _ in range(3):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    with pytest.raises(ConfigError, match='overwritten'):
        _check_output(tmp_path, open_frames(path))


def test_names_that_are_no_utf8_do_not_end_the_process(tmp_path: Path) -> None:
    name = os.fsdecode(b'\xff\xfe.png')
    write_png(tmp_path / name, PICTURE)
    assert [frame.shape for _, frame in open_frames(tmp_path)] == [PICTURE.shape]
    (tmp_path / name).rename(tmp_path / f'{name}.mp4')
    with pytest.raises(InputError, match='UTF-8'):
        VideoReader(str(tmp_path / f'{name}.mp4'))


@pytest.mark.parametrize('source', ['99999999999999', '\u00b2'])
def test_numbers_that_are_no_camera_are_usage_errors(source: str, tmp_path: Path) -> None:
    assert run(['predict', source, str(tmp_path)], create_app()) == 2


@pytest.mark.parametrize(
    'words',
    [['--frames', '0'], ['--confidence-threshold', 'nan'], ['--confidence-threshold', '7']],
)
def test_numbers_that_mean_nothing_are_usage_errors(words: list[str], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), PICTURE)
    paths = [str(tmp_path / 'a.png'), str(tmp_path / 'out')]
    assert run(['predict', *paths, *words], create_app()) == 2
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('i/*.png', ''),
        ('i/*.png', '.'),
        ('i/*.png', '**.png'),
        ('i/*.png', 'i\\0/*.png'),
        ('"m/{stem}.png"', '3'),
        ('labels: camvid', 'labels: [1]'),
        ('labels: camvid', 'labels: "l\\0.yaml"'),
        ('labels: camvid', 'labels: "' + 'q' * 100_000 + '"'),
        ('train:', '1:'),
        ('train:', 'yes:'),
        ('labels: camvid', 'labels: camvid\nlabels_are_colours: "false"'),
    ],
)
def test_descriptions_of_wrong_types_are_one_short_error(
    old: str, new: str, tmp_path: Path
) -> None:
    text = 'labels: camvid\nsplits:\n  train: {images: "i/*.png", labels: "m/{stem}.png"}\n'
    for folder in ('i', 'm'):
        write_png_in(tmp_path / folder)
    (tmp_path / 'd.yaml').write_text(text)
    source = SourceConfig(kind='folder', root=str(tmp_path / 'd.yaml'))
    assert len(open_data(source)) == 1
    (tmp_path / 'd.yaml').write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        open_data(source)
    assert len(str(caught.value)) < 1000


def write_png_in(folder: Path) -> None:
    folder.mkdir()
    write_png(folder / '0.png', PICTURE)


def test_a_label_file_of_two_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    PillowImage.fromarray(PICTURE[..., 0]).save(path)
    data = bytearray(path.read_bytes())
    start = int.from_bytes(data[4:8], 'little')
    (count,) = data[start : start + 2][:1]
    tags = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    height = next(tag for tag in tags if tag[:2] == b'\x01\x01')
    height[8:12] = (60_000).to_bytes(4, 'little')  # a second, larger one: Pillow takes the last
    data[4:8] = len(data).to_bytes(4, 'little')
    path.write_bytes(
        data + (count + 1).to_bytes(2, 'little') + b''.join([*tags, height]) + b'\0' * 4
    )
    with pytest.raises(InputError):
        read_ids(path)


@pytest.mark.parametrize(
    ('part', 'key', 'value'),
    [
        ('trainer', 'epochs', -1),
        ('trainer', 'batch_size', 0),
        ('trainer', 'num_workers', -1),
        ('trainer', 'validate_every', 0),
        ('trainer', 'ema_decay', 7.0),
        ('optimizer', 'learning_rate', -1.0),
        ('optimizer', 'betas', [2.0, 3.0]),
        ('schedule', 'power', -1.0),
        ('loss', 'class_weights', [0.0, 0.0]),
        ('loss', 'class_weights', [-1.0, 1.0]),
        ('augment', 'crop', [-64, 64]),
        ('augment', 'base_size', [0, 10]),
        ('augment', 'base_size', [100_000, 150_000]),
        ('augment', 'scale', [0.0, 0.0]),
        ('augment', 'scale', [2.0, 1.0]),
        ('model', 'freeze_backbone_stages', 99),
        ('data', 'train', []),
        ('data', 'train', [{'kind': 'drive', 'share': 0.0}]),
        ('data', 'train', [{'kind': 'drive', 'base_size': [0, 0]}]),
    ],
)
def test_numbers_of_a_recipe_that_mean_nothing_are_refused(
    part: str, key: str, value: object
) -> None:
    recipe: dict[str, Any] = {
        'model': {'preset': 'lite0'}, 'data': {'train': [{'kind': 'drive'}]},
    }  # fmt: skip
    build_dataclass(TrainConfig, json.loads(json.dumps(recipe)), origin='recipe')
    recipe.setdefault(part, {})[key] = value
    with pytest.raises(ConfigError, match=rf'{part}\.{key}'):
        build_dataclass(TrainConfig, recipe, origin='recipe')


@pytest.mark.parametrize(
    ('key', 'value'), [('accelerator', 'foo'), ('strategy', 'foo'), ('devices', 'foo')]
)
def test_what_lightning_does_not_know_is_a_config_error(
    key: str, value: str, tmp_path: Path
) -> None:
    pytest.importorskip('pytorch_lightning')
    from hyperseg_core.training.run import build_trainer

    recipe = {
        'model': {'preset': 'lite0'}, 'data': {'train': [{'kind': 'drive'}]},
        'trainer': {'accelerator': 'cpu', key: value},
    }  # fmt: skip
    config = build_dataclass(TrainConfig, recipe, origin='recipe')
    with pytest.raises(ConfigError, match='Lightning'):
        build_trainer(config, tmp_path)
