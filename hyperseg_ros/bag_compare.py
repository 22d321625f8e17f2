# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag evaluate` and `hyperseg bag diff`: masks in bags against truth and each other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hyperseg_core.data.pairs import read_ids
from hyperseg_core.errors import InputError
from hyperseg_core.labels import load_labels
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.render import colourise
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import write_png
from hyperseg_ros.bags import IMAGE
from hyperseg_ros.bags import open_bag
from hyperseg_ros.bags import read_messages

_SHOWN = 6
Mask = NDArray[np.uint8]


def masks(bag: Path, topic: str) -> Iterator[tuple[int, Mask]]:
    """Read a topic's masks with their header stamps [ns].

    Raises:
        InputError: If the topic has no masks.
    """
    with open_bag(bag) as reader:
        chosen = [c for c in reader.connections if c.topic == topic and c.msgtype == IMAGE]
        if not chosen:
            names = sorted(c.topic for c in reader.connections if c.msgtype == IMAGE)
            msg = f'{bag} has no images on {topic!r}; topics: {", ".join(names) or "none"}.'
            raise InputError(msg)
        for message in read_messages(reader, chosen):
            content: Any = reader.deserialize(message.data, IMAGE)
            stamp = content.header.stamp
            rows = np.frombuffer(content.data, np.uint8).reshape(content.height, content.step)
            yield int(stamp.sec) * 10**9 + int(stamp.nanosec), rows[:, : content.width]


def mask_topics(bag: Path) -> list[str]:
    """Return the topics of a bag that end in /mask."""
    with open_bag(bag) as reader:
        return sorted({c.topic for c in reader.connections if c.topic.endswith('/mask')})


def bag_evaluate_command(
    bag: Path,
    labels: str,
    topic: str | None = None,
    truth_bag: Path | None = None,
    label_set: str = 'camvid',
) -> int:
    """Score masks in a bag; exit status 1 if some had no truth.

    Args:
        bag: A labelled bag.
        labels: A topic with true ids, or a folder of PNGs in the order of the masks.
        topic: Topic of the masks; the only one by default.
        truth_bag: Bag with the topic of true ids; the labelled one by default.
        label_set: Name or YAML of the label set.
    """
    known = load_labels(label_set)
    topic = topic or _only(mask_topics(bag), bag)
    folder = Path(labels)
    if folder.is_dir():
        files = sorted(folder.glob('*.png'))
        pairs = zip((mask for _, mask in masks(bag, topic)), map(read_ids, files), strict=False)
        total, missing = _score(pairs, len(known)), 0
    else:
        truth = dict(masks(truth_bag or bag, labels))
        stamped = list(masks(bag, topic))
        missing = sum(stamp not in truth for stamp, _ in stamped)
        pairs_of = ((mask, truth[stamp]) for stamp, mask in stamped if stamp in truth)
        total = _score(pairs_of, len(known))
    scores = Scores.from_confusion(total)
    table = Table('class', 'IoU')
    for name, iou in zip(known.names, scores.per_class_iou, strict=True):
        table.add_row(name, f'{iou:.4f}')
    table.add_row('mean', f'{scores.mean_iou:.4f}')
    Console().print(table)
    if missing:
        Console().print(f'{missing} masks have no truth with their stamp.')
    return 1 if missing else 0


def _only(topics: list[str], bag: Path) -> str:
    if len(topics) != 1:
        msg = f'{bag} has {len(topics)} topics of masks ({", ".join(topics)}); name one.'
        raise InputError(msg)
    return topics[0]


def _score(pairs: Any, num_classes: int) -> NDArray[np.int64]:
    total = np.zeros((num_classes, num_classes + 1), np.int64)
    for mask, truth in pairs:
        if mask.shape != truth.shape:
            msg = f'A mask is {mask.shape} px but its truth is {truth.shape} px.'
            raise InputError(msg)
        total += confusion_matrix(truth, mask, num_classes)
    return total


def bag_diff_command(
    a: Path, b: Path, sheet: Path | None = None, label_set: str = 'camvid'
) -> int:
    """Compare the masks of two bags; exit status 1 if they differ.

    Args:
        a: A labelled bag.
        b: Another.
        sheet: Where to write a contact sheet of the frames that differ most.
        label_set: Name or YAML of the label set, for the colours.
    """
    known = load_labels(label_set)
    console, has_differences = Console(), False
    table = Table('topic', 'frames', 'only in one', 'agreement', 'least')
    tiles: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for topic in sorted(set(mask_topics(a)) | set(mask_topics(b))):
        first = dict(masks(a, topic)) if topic in mask_topics(a) else {}
        second = dict(masks(b, topic)) if topic in mask_topics(b) else {}
        common = sorted(set(first) & set(second))
        agreement = {stamp: _agreement(first[stamp], second[stamp]) for stamp in common}
        alone = len(set(first) ^ set(second))
        mean = float(np.mean(list(agreement.values()))) if common else 0.0
        least = min(agreement.values(), default=0.0)
        table.add_row(topic, str(len(common)), str(alone), f'{mean:.6f}', f'{least:.6f}')
        has_differences |= alone > 0 or least < 1.0
        for stamp in sorted(common, key=lambda s: agreement[s])[:_SHOWN]:
            for side, found in (('a', first), ('b', second)):
                tiles.append(colourise(found[stamp], known))
                captions.append(f'{side} {stamp} {agreement[stamp]:.4f}')
    console.print(table)
    if sheet is not None and tiles:
        write_png(sheet, contact_sheet(tiles, captions, columns=4))
    return 1 if has_differences else 0


def _agreement(first: Mask, second: Mask) -> float:
    return float((first == second).mean()) if first.shape == second.shape else 0.0
