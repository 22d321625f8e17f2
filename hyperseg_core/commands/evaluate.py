# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg evaluate`: scores of a checkpoint on a split, through the same `Segmenter`."""

from collections.abc import Iterator
from datetime import date
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from hyperseg_core.commands.evaluate_report import ShownFrame
from hyperseg_core.commands.evaluate_report import write_report
from hyperseg_core.commands.labelled_data import check_classes
from hyperseg_core.commands.options import Count
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.datasets.cityscapes import submission_ids
from hyperseg_core.data.datasets.cityscapes import submission_name
from hyperseg_core.data.pairs import FilePairs
from hyperseg_core.data.pairs import SegmentationData
from hyperseg_core.errors import ConfigError
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.html_report import check_report_path
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.metrics import Reliability
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import boundary_confusion
from hyperseg_core.metrics import confidence_counts
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.render import confusion_image
from hyperseg_core.render import contact_sheet
from hyperseg_core.render import overlay
from hyperseg_core.render import reliability_image
from hyperseg_core.render import write_png

_logger = logging.getLogger(__name__)
_SHOWN = 6
_REPORTED = 12


def evaluate_command(
    *,
    checkpoint: str = 'default',
    data: str = 'camvid',
    root: str = '.',
    split: str = 'val',
    engine: str = 'auto',
    device: Device = 'auto',
    precision: str = 'f32',
    size: ImageSize | None = None,
    output: Path | None = None,
    also_with_void: bool = False,
    limit: Count | None = None,
    submission: Path | None = None,
    report: Path | None = None,
) -> None:
    """Score a checkpoint on a split: one forward pass per image, at the labels' own size.

    Args:
        checkpoint: File or name of a shipped checkpoint.
        data: camvid, cityscapes, voc, folder or drive.
        root: The data set's folder; for folder, its YAML.
        split: Split to score on.
        engine: Engine, as for the node.
        device: Device, as for the node.
        precision: Precision, as for the node.
        size: Network input height and width [px]; by default it follows the images.
        output: Folder for scores.json, confusion matrix, reliability diagram and overlays.
        also_with_void: Print the mean over the classes and void beside it.
        limit: Score only this many images.
        submission: Folder for PNGs of ids as the Cityscapes benchmark's server takes them.
        report: HTML file with tables and the worst frames, which needs no server.
    """
    if submission is not None and data != 'cityscapes':
        msg = (
            f'`--submission` writes the format of the Cityscapes benchmark, but the data are '
            f'{data!r}; leave it out, or use `hyperseg predict` for the ids of any images.'
        )
        raise ConfigError(msg)
    check_report_path(report)
    source = open_data(SourceConfig(kind=data, split=split, root=root))
    segmenter = Segmenter(checkpoint, engine, device, precision, size)
    labels = segmenter.label_set
    check_classes(checkpoint, labels, data, source)
    count = len(source) if limit is None else min(limit, len(source))
    total = np.zeros((len(labels), len(labels) + 1), np.int64)
    boundary = np.zeros((3, len(labels)), np.int64)
    sure = np.zeros((2, 256), np.int64)
    per_image = []
    for index in track(range(count), description='evaluating'):
        image, truth = source.load(index)
        answer = segmenter(image)
        ids = answer.class_ids
        if submission is not None:
            _write_submission(submission, source, index, ids)
        matrix = confusion_matrix(truth, ids, len(labels))
        total += matrix
        boundary += boundary_confusion(truth, ids, len(labels))
        sure += confidence_counts(truth, ids, answer.confidence)
        per_image.append((Scores.from_confusion(matrix).mean_iou, index))
    scores, reliability = Scores.from_confusion(total), Reliability.from_counts(sure)
    found = {
        'checkpoint': segmenter.checkpoint.digest,
        'data': data,
        'split': split,
        'images': count,
        'classes': list(labels.names),
        'forward_passes_per_image': 1,
        'engine': str(segmenter.spec),
        'date': date.today().isoformat(),
        **scores.to_dict(),
        **_boundary_scores(boundary),
        **reliability.to_dict(),
    }
    if also_with_void:
        # The published CamVid figures average over 12 classes; void is never predicted right.
        found['mean_iou_with_void'] = float(np.nansum(scores.per_class_iou)) / (len(labels) + 1)
    _print(found, scores)
    if output is not None:
        _write(output, found, total, segmenter, source, sorted(per_image))
        write_png(output / 'reliability.png', reliability_image(reliability))
    if report is not None:
        frames = _shown(segmenter, source, sorted(per_image)[:_REPORTED])
        write_report(report, found, total, labels, reliability, frames)


def _shown(
    segmenter: Segmenter, source: SegmentationData, ranked: list[tuple[float, int]]
) -> Iterator[ShownFrame]:
    for score, index in ranked:
        image, truth = source.load(index)
        yield ShownFrame(
            name=source.name(index), mean_iou=score, image=image, truth=truth,
            class_ids=segmenter(image).class_ids,
        )  # fmt: skip


def _boundary_scores(counts: NDArray[np.int64]) -> dict[str, Any]:
    """Score (3, N) pixel counts near boundaries: both, truth, prediction."""
    iou = counts[0] / np.maximum(counts[1] + counts[2] - counts[0], 1)
    present = iou[counts[1] > 0]
    return {
        'boundary_iou': [round(float(value), 6) for value in iou],
        'mean_boundary_iou': round(float(present.mean()), 6) if len(present) else None,
    }


def _write_submission(
    folder: Path, source: SegmentationData, index: int, ids: NDArray[np.uint8]
) -> None:
    assert isinstance(source, FilePairs)
    folder.mkdir(parents=True, exist_ok=True)
    name = submission_name(source.pair(index).image)
    write_png(folder / name, submission_ids(ids, source.labels))


def _print(report: dict[str, Any], scores: Scores) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table('class', 'IoU', 'boundary IoU')
    for name, iou, edge in zip(
        report['classes'], scores.per_class_iou, report['boundary_iou'], strict=True
    ):
        table.add_row(name, f'{iou:.4f}', f'{edge:.4f}')
    table.add_section()
    table.add_row('mean', f'{scores.mean_iou:.4f}', f'{report["mean_boundary_iou"] or np.nan:.4f}')
    console = Console()
    console.print(table)
    console.print(
        f'{report["data"]} {report["split"]}: {report["images"]} images, '
        f'{len(report["classes"])} classes, one forward pass each, {report["engine"]}; pixel '
        f'accuracy {scores.pixel_accuracy:.4f}, calibration error '
        f'{report["expected_calibration_error"]:.4f}'
    )
    if 'mean_iou_with_void' in report:
        console.print(f'mean over the classes and void: {report["mean_iou_with_void"]:.4f}')


def _write(
    output: Path,
    report: dict[str, Any],
    matrix: Any,
    segmenter: Segmenter,
    source: SegmentationData,
    ranked: list[tuple[float, int]],
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / 'scores.json', json.dumps(report, indent=2).encode())
    write_png(output / 'confusion.png', confusion_image(matrix, segmenter.label_set))
    for name, chosen in (('worst', ranked[:_SHOWN]), ('best', ranked[-_SHOWN:])):
        tiles, captions = [], []
        for score, index in chosen:
            image, _ = source.load(index)
            tiles.append(overlay(image, segmenter(image).class_ids, segmenter.label_set))
            captions.append(f'{Path(source.name(index).split()[0]).stem} {score:.3f}')
        write_png(output / f'{name}.png', contact_sheet(tiles, captions))
    _logger.info('Wrote scores.json and pictures of the worst and best to %s.', output)
