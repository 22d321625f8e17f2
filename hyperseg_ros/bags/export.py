# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag export`: images of bags with predicted ids, for people to correct."""

from collections.abc import Callable
import logging
from pathlib import Path
from typing import Literal

from hyperseg_core.annotation.formats import FormatName
from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.errors import shortened
from hyperseg_core.files.folders import new_folder
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_ros.bags.exporter import Exporter
from hyperseg_ros.bags.files import result_names
from hyperseg_ros.bags.select import bag_of_several
from hyperseg_ros.bags.select import bags_and_out
from hyperseg_ros.bags.select import check_seconds
from hyperseg_ros.bags.select import print_problems
from hyperseg_ros.bags.selected import read_selection

_logger = logging.getLogger(__name__)
_EXAMPLE = 'hyperseg bag export BAG OUT --format cvat'


def bag_export_command(
    *paths: Path,
    format: FormatName,
    every: float = 1.0,
    selection: Path | None = None,
    topics: list[str] | None = None,
    masks: Path | None = None,
    label_set: str | None = None,
    images: Literal['png', 'jpeg'] = 'png',
    checkpoint: str = 'default',
    engine: str = 'auto',
    device: Device = 'cpu',
    precision: str = 'f32',
    size: ImageSize | None = None,
) -> int:
    """Write images with predicted ids in a tool's format; exit status 1 if some were lost.

    The ids are those of a labelled bag where there is one, else frames are segmented. What was
    corrected comes back by `hyperseg import-labels`.

    Args:
        paths: Bags, or folders of them, and last the folder to write.
        format: cityscapes, coco, or cvat ("CVAT for images 1.1").
        every: Time between frames of a topic [s]; 0 takes all.
        selection: The file of `bag select`: its frames instead of one every so often.
        topics: Topics of images; by default all of cameras.
        masks: The labelled bag, or of several bags the folder of them; by default the bag itself
            where it holds masks (`bag label --copy`).
        label_set: Name or YAML of what the ids of the masks mean; by default the checkpoint's.
        images: png, which loses nothing, or jpeg.
        checkpoint: File or name of a shipped checkpoint.
        engine: auto, onnxruntime, openvino, torch, or with `--device cuda` tensorrt.
        device: cpu, so that the same bag gives the same bytes again; auto, gpu, cuda or cuda:N.
        precision: f32, bf16, f16 or auto.
        size: Network input height and width [px]; by default it follows the images.
    """
    bags, out = bags_and_out(paths, _EXAMPLE)
    check_seconds('--every', every)
    names = result_names(bags)
    chosen = None if selection is None else read_selection(selection)
    if chosen is not None:
        bags = [bag for bag in bags if names[bag] in chosen]
        if not bags:
            msg = (
                f'{selection} chooses frames of {", ".join(sorted(chosen)) or "nothing"}, not of '
                f'{", ".join(names.values())}; give the bags that it was made of.'
            )
            raise InputError(msg)
        absent = sorted(chosen.keys() - {names[bag] for bag in bags})
        if absent:
            _logger.info('%s also chooses frames of %s.', selection, ', '.join(absent))
    known = load_labels(label_set) if label_set else load_checkpoint(checkpoint).label_set

    def make_segmenter() -> Segmenter:
        made = Segmenter(checkpoint, engine, device, precision, size, replaces_lost=False)
        _check_same(made.label_set, known)
        return made

    with new_folder(out) as folder:
        exporter = Exporter(folder, format, known, images, names.values(), _once(make_segmenter))
        for bag in bags:
            stamps, lost = None if chosen is None else chosen[names[bag]], list[str]()
            with bag_of_several(bag, len(names), lost):
                labelled = _masks_of(bag, names[bag], masks, several=len(names) > 1)
                exporter.export(bag, names[bag], every, stamps, topics, labelled)
            exporter.problems += [f'{bag}: {line}' for line in lost]
        exporter.finish({} if selection is None else {'selection': selection.name})
        for line in exporter.left_out:
            _logger.info('%s', shortened(line))
        print_problems(exporter.problems)
        if not exporter.num_frames:
            msg = ' '.join(['No frame could be exported.', *exporter.problems[:3]])
            raise InputError(msg)
    _logger.info(
        '%d frames to %s. Corrected, they come back by: hyperseg import-labels %s CORRECTED '
        '--format %s', exporter.num_frames, out, out, format,
    )  # fmt: skip
    return 1 if exporter.problems else 0


def _once(make: Callable[[], Segmenter]) -> Callable[[], Segmenter]:
    """Return what makes a segmenter when it is first needed."""
    made: list[Segmenter] = []

    def get() -> Segmenter:
        if not made:
            made.append(make())
        return made[0]

    return get


def _check_same(made: LabelSet, known: LabelSet) -> None:
    if made.names != known.names:
        msg = (
            f'--label-set {known.name!r} has other classes than the checkpoint ({made.name!r}), '
            f'and frames without masks are segmented by that; leave --label-set out, or give '
            f'--masks.'
        )
        raise ConfigError(msg)


def _masks_of(bag: Path, name: str, masks: Path | None, *, several: bool) -> Path | None:
    """Return the labelled bag of a bag; of several, the one with its name in a folder.

    Raises:
        FileNotFoundError: If it is not there.
    """
    if masks is None:
        return None
    found = masks / name if several else masks
    if not found.exists():
        msg = f'There are no masks of {bag}: {found} is not there; `hyperseg bag label` makes it.'
        raise FileNotFoundError(msg)
    return found
