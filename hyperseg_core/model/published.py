# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published checkpoints' keys and variants, brought to ours.

The published files are `torch.save` dictionaries: either a state dict, or a training state with
`state_dict` and `arch` beside optimiser state and NumPy scalars.
"""

from collections.abc import Mapping
from pathlib import Path
import re
from typing import Any

import torch
from torch import Tensor
from torch import nn

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import load_config
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.hyperseg import build_model
from hyperseg_core.model.tensor_files import read_pickle

PUBLISHED_PRESETS = ('camvid-l', 'camvid-s', 'cityscapes-m', 'cityscapes-s', 'vocsbd-l')
_BLOCK_LAYERS = {
    '_expand_conv': 'conv_pw',
    '_depthwise_conv': 'conv_dw',
    '_se_reduce': 'se.conv_reduce',
    '_se_expand': 'se.conv_expand',
}
_TRUNK_LAYERS = {
    '_conv_stem': 'conv_stem',
    '_bn0': 'bn1',
    '_conv_head': 'conv_head',
    '_bn1': 'bn2',
}
_MAX_LISTED = 6


def import_published(
    path_or_state_dict: str | Path | Mapping[str, Any], preset: str | None = None
) -> HyperSeg:
    """Build a network from a published checkpoint.

    Args:
        path_or_state_dict: A published `.pth`, or what is in one.
        preset: One of `PUBLISHED_PRESETS`; None guesses from the file's `arch` and shapes.

    Returns:
        The network, in evaluation mode, with the file's number of classes.

    Raises:
        CheckpointError: If the file is refused or its tensors do not fit the preset.
        ConfigError: If the preset is unknown.
        FileNotFoundError: If there is no such file.
    """
    content = path_or_state_dict
    if isinstance(content, str | Path):
        content = read_pickle(Path(content))
    state, arch = _state_dict(content)
    preset = guess_preset(state, arch) if preset is None else preset
    if preset not in PUBLISHED_PRESETS:
        msg = f'Unknown published preset {preset!r}; known: {", ".join(PUBLISHED_PRESETS)}.'
        raise ConfigError(msg)
    model = build_model(load_config(preset, num_classes=_num_classes(state, preset)))
    names = published_names(model)
    missing = [theirs for theirs in names if theirs not in state]
    unexpected = [theirs for theirs in state if theirs not in names]
    if missing or unexpected:
        msg = (
            f'The state dict does not fit preset {preset!r}: {_listed("missing", missing)}; '
            f'{_listed("unexpected", unexpected)}. Name the preset it was trained as.'
        )
        raise CheckpointError(msg)
    own = model.state_dict()
    for theirs, ours in names.items():
        if own[ours].shape != state[theirs].shape:
            msg = (
                f'{theirs} has shape {tuple(state[theirs].shape)}, but preset {preset!r} needs '
                f'{tuple(own[ours].shape)}. Name the preset it was trained as.'
            )
            raise CheckpointError(msg)
        _check_numbers(theirs, state[theirs])
        own[ours].copy_(state[theirs])
    return model.eval()


def _check_numbers(name: str, tensor: Tensor) -> None:
    """Refuse what no checkpoint may hold: it would be written, and not be read again.

    Raises:
        CheckpointError: If a tensor is not real and dense, or not finite, or a variance negative.
    """
    is_real = tensor.layout == torch.strided and not (tensor.is_complex() or tensor.is_quantized)
    if not is_real or not bool(torch.isfinite(tensor).all()):
        msg = f'{name} holds no real, finite numbers; download or train it again.'
        raise CheckpointError(msg)
    if name.endswith('running_var') and bool((tensor < 0).any()):
        msg = f'{name} holds negative variances; download or train it again.'
        raise CheckpointError(msg)


def _state_dict(content: object) -> tuple[dict[str, Tensor], str | None]:
    """Return the tensors with bare names, without bookkeeping, and the `arch` string."""
    if not isinstance(content, Mapping):
        msg = f'A checkpoint must be a dictionary, but this is {type(content).__name__}.'
        raise CheckpointError(msg)
    arch = content.get('arch')
    state = content.get('state_dict', content)
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        keys = ', '.join(map(str, list(content)[:_MAX_LISTED]))
        msg = f'The checkpoint holds no state dict; its keys are: {keys}.'
        raise CheckpointError(msg)
    bare = {str(key).removeprefix('module.'): value for key, value in state.items()}
    kept = {
        key: value
        for key, value in bare.items()
        if isinstance(value, Tensor) and '.coord' not in key and 'num_batches_tracked' not in key
    }
    return kept, arch if isinstance(arch, str) else None


def guess_preset(state: Mapping[str, Tensor], arch: str | None) -> str:
    """Tell which published preset a bare state dict is of.

    Raises:
        CheckpointError: If it looks like none of them.
    """
    if 'decoder.weight_blocks.0.signal2weights.weight' in state:
        return 'cityscapes-s'
    if 'weight_mapper.out_conv.conv_0.weight' in state:
        return 'vocsbd-l'
    if 'decoder.level_5.0.signal2weights.weight' in state:
        return 'camvid-l'
    if 'decoder.level_4.0.signal2weights.weight' in state:
        return 'camvid-s' if 'backbone._feat_fc_0.0.weight' in state else 'cityscapes-m'
    msg = (
        f'The checkpoint (arch {arch!r}) looks like none of the published networks: '
        f'{", ".join(PUBLISHED_PRESETS)}. Name the preset with `--preset` if it is one.'
    )
    raise CheckpointError(msg)


def _num_classes(state: Mapping[str, Tensor], preset: str) -> int | None:
    """Read the class count off the last batch norm of the decoder; None where it is absent."""
    last = {
        'camvid-l': 'decoder.level_5.0.bn3.weight',
        'camvid-s': 'decoder.level_4.0.bn3.weight',
        'cityscapes-m': 'decoder.level_4.0.bn3.weight',
        'cityscapes-s': 'decoder.level_blocks.4.0.bn3.weight',
        'vocsbd-l': 'decoder.level_5.0.conv.2.1.weight',
    }[preset]
    return int(state[last].shape[0]) if last in state and state[last].ndim else None


def published_names(model: HyperSeg) -> dict[str, str]:
    """Map published names to ours for every tensor of a published preset's network."""
    decoder = model.config.decoder
    is_voc = decoder.halo == 'neighbour'
    is_unified = decoder.unified_from is not None
    flat_index = _flat_block_indices(model.backbone.blocks)
    names = {}
    for ours in model.state_dict():
        if 'num_batches_tracked' in ours:
            continue
        part, rest = ours.split('.', 1)
        if part == 'backbone':
            theirs = 'backbone.' + _backbone_name(rest, flat_index, model)
        elif part == 'context_head':
            theirs = 'weight_mapper.' + (_voc_head_name(rest) if is_voc else rest)
        elif is_voc:
            theirs = _voc_decoder_name(rest, decoder.kernel_sizes)
        else:
            theirs = _decoder_name(rest, decoder.kernel_sizes, is_unified=is_unified)
        names[theirs] = ours
    return names


def _flat_block_indices(stages: nn.Module) -> dict[tuple[int, int], int]:
    pairs = [
        (s, b)
        for s, stage in enumerate(stages.children())
        for b in range(len(list(stage.children())))
    ]
    return {pair: index for index, pair in enumerate(pairs)}


def _backbone_name(rest: str, flat_index: dict[tuple[int, int], int], model: HyperSeg) -> str:
    if match := re.fullmatch(r'tap_reductions\.(\d+)\.(.+)', rest):
        return f'_feat_fc_{match[1]}.{match[2]}'
    match = re.fullmatch(r'blocks\.(\d+)\.(\d+)\.(.+)\.(\w+)', rest)
    if match is None:
        layer, leaf = rest.rsplit('.', 1)
        theirs = {ours: theirs for theirs, ours in _TRUNK_LAYERS.items()}
        return f'{theirs[layer]}.{leaf}'
    stage, block, layer, leaf = int(match[1]), int(match[2]), match[3], match[4]
    stages: Any = model.backbone.blocks
    layers = {ours: theirs for theirs, ours in _BLOCK_LAYERS.items()}
    if hasattr(stages[stage][block], 'conv_pwl'):
        layers |= {'conv_pwl': '_project_conv', 'bn1': '_bn0', 'bn2': '_bn1', 'bn3': '_bn2'}
    else:
        layers |= {'conv_pw': '_project_conv', 'bn1': '_bn1', 'bn2': '_bn2'}
    return f'_blocks.{flat_index[stage, block]}.{layers[layer]}.{leaf}'


def _decoder_name(rest: str, kernel_sizes: tuple[int, ...], *, is_unified: bool) -> str:
    if match := re.fullmatch(r'weight_mappers\.(\d+)\.conv\.weight', rest):
        level = int(match[1])
        if is_unified:
            return f'decoder.weight_blocks.{level}.signal2weights.weight'
        owner = '0.0' if kernel_sizes[level] == 1 else '0'
        return f'decoder.level_{level}.{owner}.signal2weights.weight'
    match = re.fullmatch(r'meta_blocks\.(\d+)\.norms\.(\d+)\.(\w+)', rest)
    assert match is not None, rest
    level = int(match[1])
    norm = '1' if kernel_sizes[level] == 1 else f'bn{int(match[2]) + 1}'
    prefix = f'level_blocks.{level}' if is_unified else f'level_{level}'
    return f'decoder.{prefix}.0.{norm}.{match[3]}'


def _voc_head_name(rest: str) -> str:
    return rest.replace('down_blocks.', 'down_', 1).replace('up_blocks.', 'flat_', 1)


def _voc_decoder_name(rest: str, kernel_sizes: tuple[int, ...]) -> str:
    if match := re.fullmatch(r'weight_mappers\.(\d+)\.conv\.weight', rest):
        return f'weight_mapper.out_conv.conv_{match[1]}.weight'
    match = re.fullmatch(r'meta_blocks\.(\d+)\.norms\.(\d+)\.(\w+)', rest)
    assert match is not None, rest
    level = int(match[1])
    norm = '1' if kernel_sizes[level] == 1 else f'conv.{match[2]}.1'
    return f'decoder.level_{level}.0.{norm}.{match[3]}'


def _listed(word: str, names: list[str]) -> str:
    if not names:
        return f'no key {word}'
    rest = f' and {len(names) - _MAX_LISTED} more' if len(names) > _MAX_LISTED else ''
    return f'{len(names)} {word}: {", ".join(names[:_MAX_LISTED])}{rest}'
