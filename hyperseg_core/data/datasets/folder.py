# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any pairs of images and label PNGs, described by one YAML.

labels: labels.yaml             # a label set, or the name of a shipped one
labels_are_colours: false       # whether label PNGs hold colours instead of ids
aspect: 2.0                     # width by height of the scene, where images were squeezed
ignored: [9]                    # ids or colours of label PNGs that have no class on purpose
splits:
  train:
    images: train/images/*.jpg  # pattern below the YAML's folder
    labels: train/labels/{stem}.png
"""

from pathlib import Path
from typing import Any

from hyperseg_core.data.datasets.camvid import check_pairs
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import Pair
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.files.typed_yaml import read_yaml
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import as_sources
from hyperseg_core.labels import load_labels

_STEM = '{stem}'


def folder(description: Path, split: str, root: Path | None = None) -> FilePairs:
    """Open a split of the data set that a YAML describes; `train+val` joins two.

    Args:
        description: The YAML.
        split: Names of splits, joined by +.
        root: Folder that the patterns are relative to; None: the YAML's.

    Raises:
        ConfigError: If the YAML is wrong or leads out of its folder.
        InputError: If the split is unknown or empty, or a file is missing.
    """
    if not description.is_file():
        msg = f'{description} is not there; a data set of kind folder is described by a YAML file.'
        raise InputError(msg)
    data = _read(description)
    base = description.resolve().parent if root is None else root.resolve()
    label_set = _label_set(description, data['labels'])
    pairs: list[Pair] = []
    for name in split.split('+'):
        if name not in data['splits']:
            msg = f'{description} has no split {name!r}; known: {", ".join(data["splits"])}.'
            raise InputError(msg)
        entry = data['splits'][name]
        pattern = _label_pattern(description, entry['labels'])
        images = _matching(description, base, entry['images'])
        if not images:
            msg = f'{description}: no image matches {entry["images"]!r} below {base}.'
            raise InputError(msg)
        pairs += [Pair(image, base / pattern.replace(_STEM, image.stem)) for image in images]
    check_pairs(pairs)
    has_source = any(item.source is not None for item in label_set.classes)
    return FilePairs(
        pairs,
        label_set,
        lookup=label_set.source_lookup() if has_source else None,
        from_colours=data.get('labels_are_colours', False),
        aspect=_aspect(description, data.get('aspect')),
        ignored=as_sources(data.get('ignored') or [], f'{description}: `ignored`'),
    )


def _matching(path: Path, base: Path, pattern: object) -> list[Path]:
    """Return the images below a folder that match a pattern, by name.

    Raises:
        ConfigError: If it is no pattern.
    """
    text = _inside(path, pattern)
    try:
        return sorted(found for found in base.glob(text) if not found.name.startswith('.'))
    except (ValueError, IndexError, NotImplementedError) as err:
        msg = f"{path}: {text!r:.80} is no pattern of files ({err!s:.80}), e.g. 'images/*.png'."
        raise ConfigError(msg) from err


def _label_set(path: Path, labels: object) -> LabelSet:
    """Read a label set by name, or the YAML below the description's folder."""
    if not isinstance(labels, str):
        msg = f'{path}: `labels` is {labels!r:.80}, expected the name or the YAML of a label set.'
        raise ConfigError(msg)
    if labels.endswith(('.yaml', '.yml')):
        base = path.resolve().parent
        found = base / _inside(path, labels)
        if not found.resolve().is_relative_to(base):
            msg = f'{path}: {labels!r} is a link that leads out of the folder.'
            raise ConfigError(msg)
        return load_labels(found)
    return load_labels(labels)


def _aspect(path: Path, value: object) -> float | None:
    """Check the aspect that a YAML gives.

    Raises:
        ConfigError: If it is no aspect of a photograph.
    """
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.1 <= value <= 10:  # type: ignore[operator]
        msg = f'{path}: `aspect` is {value!r}, expected width by height, 0.1 to 10, e.g. 2.0.'
        raise ConfigError(msg)
    return float(value)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, Any]:
    data = read_yaml(path)
    optional = ('labels_are_colours', 'aspect', 'ignored')
    needed = {'labels', 'splits'}
    if not isinstance(data, dict) or not needed <= set(data) <= needed | set(optional):
        msg = f'{path} needs `labels` and `splits`, and may have {", ".join(optional)}.'
        raise ConfigError(msg)
    if not isinstance(data['splits'], dict):
        msg = f'{path}: `splits` must be a mapping of names, e.g. train, to images and labels.'
        raise ConfigError(msg)
    if not isinstance(data.get('labels_are_colours', False), bool):
        found = data['labels_are_colours']
        msg = f'{path}: `labels_are_colours` is {found!r:.80}, expected true or false.'
        raise ConfigError(msg)
    for name, entry in data['splits'].items():
        if not isinstance(name, str):
            msg = f'{path}: the split {name!r:.80} has no text as its name; put it in quotes.'
            raise ConfigError(msg)
        if not isinstance(entry, dict) or set(entry) != {'images', 'labels'}:
            msg = f'{path}: split {name!r} needs `images` and `labels`, and nothing else.'
            raise ConfigError(msg)
    return data


def _label_pattern(path: Path, pattern: object) -> str:
    """Check the pattern of label files: text in which `{stem}` stands for the image's.

    Raises:
        ConfigError: If it leads out of the folder or has other braces.
    """
    text = _inside(path, pattern)
    rest = text.replace(_STEM, '')
    if _STEM not in text or '{' in rest or '}' in rest:
        msg = (
            f'{path}: the pattern of labels is {text!r}; it must hold {_STEM}, the name of the '
            f"image without its ending, and no other braces, e.g. 'labels/{_STEM}.png'."
        )
        raise ConfigError(msg)
    return text


def _inside(path: Path, pattern: object) -> str:
    """Check that a pattern stays below the YAML's folder."""
    if not isinstance(pattern, str) or '\0' in pattern:
        msg = f'{path}: {pattern!r:.80} is no pattern of files; expected text.'
        raise ConfigError(msg)
    text = pattern
    if Path(text).is_absolute() or '..' in Path(text).parts:
        msg = f'{path}: {text!r} leads out of the folder; patterns are relative to the YAML.'
        raise ConfigError(msg)
    return text
