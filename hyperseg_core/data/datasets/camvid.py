# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CamVid, in the two layouts that it is found in.

*ids*: `train/ trainannot/ val/ valannot/ test/ testannot/` with PNGs of ids, 11 = void (SegNet's
split of 367, 101 and 233 images). *colours*: full-size images with `_L.png` colour labels, in
`701_StillsRaw_full/` and `LabeledApproved_full/`, with `train.txt`, `val.txt` and `test.txt`
listing the image names of each split. CamVid is for research use.
"""

from pathlib import Path

from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import Pair
from hyperseg_core.errors import InputError
from hyperseg_core.labels import load_labels

SPLITS = ('train', 'val', 'test')
_VOID_ID = 11


def camvid(root: Path, split: str) -> FilePairs:
    """Open a split; `train+val` joins two.

    Raises:
        InputError: If the folder has neither layout, a split is unknown or empty, or a label
            file is missing.
    """
    labels = load_labels('camvid')
    pairs: list[Pair] = []
    names = split.split('+')
    for name in names:
        if name not in SPLITS:
            msg = f'CamVid has no split {name!r}; known: {", ".join(SPLITS)}, or joined with +.'
            raise InputError(msg)
    if (root / f'{names[0]}annot').is_dir():
        for name in names:
            pairs += pair_by_name(root / name, root / f'{name}annot')
        return FilePairs(pairs, labels, ignored=(_VOID_ID,))
    images, colours = root / '701_StillsRaw_full', root / 'LabeledApproved_full'
    if not images.is_dir() or not colours.is_dir():
        msg = (
            f'{root} is not CamVid: it has neither {names[0]}annot/ (ids) nor '
            f'701_StillsRaw_full/ and LabeledApproved_full/ (colours).'
        )
        raise InputError(msg)
    for name in names:
        pairs += [
            Pair(images / f'{stem}.png', colours / f'{stem}_L.png')
            for stem in _listed_stems(root / f'{name}.txt')
        ]
    check_pairs(pairs)
    return FilePairs(pairs, labels, from_colours=True, ignored=None)


def _listed_stems(path: Path) -> list[str]:
    if not path.is_file():
        msg = f'{path} is missing: the full-size layout needs a list of image names per split.'
        raise InputError(msg)
    lines = path.read_text(encoding='utf-8').split()
    return [Path(line).name.removesuffix('.png') for line in lines]


def pair_by_name(images: Path, labels: Path) -> list[Pair]:
    """Pair the PNGs of two folders by file name.

    Raises:
        InputError: If there is none, or a label file is missing.
    """
    pairs = [Pair(path, labels / path.name) for path in sorted(images.glob('*.png'))]
    if not pairs:
        msg = f'No .png image in {images}.'
        raise InputError(msg)
    check_pairs(pairs)
    return pairs


def check_pairs(pairs: list[Pair]) -> None:
    """Check that both files of every pair are there.

    Raises:
        InputError: If not, naming both files of the first bad pair and the number of them.
    """
    bad = [pair for pair in pairs if not pair.image.is_file() or not pair.labels.is_file()]
    if bad:
        msg = (
            f'{bad[0].image} and its labels {bad[0].labels} are not both there '
            f'({len(bad)} such pairs of {len(pairs)}).'
        )
        raise InputError(msg)
