# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag label`: label every image of bags; exit status and report."""

import logging
from pathlib import Path
import sys

from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.errors import shortened
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_ros.bags.files import LABELLING
from hyperseg_ros.bags.files import find_bags
from hyperseg_ros.bags.files import result_names
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.bags.labelling import LabelReport
from hyperseg_ros.bags.labelling import label_bag

_logger = logging.getLogger(__name__)
_SHOWN = 40
"""So many problems of a bag are printed; its file has them all."""


def bag_label_command(
    *paths: Path,
    checkpoint: str = 'default',
    topics: list[str] | None = None,
    engine: str = 'auto',
    device: Device = 'cpu',
    precision: str = 'f32',
    size: ImageSize | None = None,
    confidence: bool = False,
    overlay: bool = False,
    compressed: bool = False,
    copy: bool = False,
    storage: str = 'mcap',
    zstd: bool = False,
    resume: bool = False,
) -> int:
    """Label every image of bags; exit status 1 if any was lost, 2 if nothing could be done.

    Args:
        paths: Bags: rosbag2 folders, .mcap or .db3 files, ROS 1 .bag files, or folders of them;
            and, last, the labelled bag, or for several bags the folder of labelled bags.
        checkpoint: File or name of a shipped checkpoint.
        topics: Topics to label; by default all with a camera's images.
        engine: auto, onnxruntime, openvino, torch, or with `--device cuda` tensorrt.
        device: cpu, so that the same bag gives the same bytes again; auto, gpu (Intel), cuda and
            cuda:N may be faster. None goes on for one that is lost.
        precision: f32, bf16, f16 or auto.
        size: Network input height and width [px]; by default it follows the images.
        confidence: Write the confidence of each mask too.
        overlay: Write overlays too.
        compressed: Write masks as PNG too.
        copy: Copy the input's other topics.
        storage: mcap or sqlite3.
        zstd: Compress the labelled bag (mcap): a fiftieth or less of its masks is left.
        resume: Go on where an interrupted run stopped.
    """
    if len(paths) < 2:
        msg = (
            f'Expected bags and, last, where to write: `hyperseg bag label BAG OUT`, not {paths}.'
        )
        raise ConfigError(msg)
    *source, out = paths
    bags, results, missing = _found(source)
    for path in results:
        _logger.info('%s is left out: it is a labelled bag.', path)
    if not bags and missing:
        msg = f'There is no bag: {" ".join(missing.values())}'
        raise InputError(msg)
    if not bags:
        msg = 'There are only labelled bags; name one to label it again.'
        raise InputError(msg)
    names = result_names(bags)
    options = LabelOptions(confidence, overlay, compressed, copy, storage, zstd)
    segmenter = Segmenter(checkpoint, engine, device, precision, size, replaces_lost=False)
    outcomes: dict[Path, LabelReport | str] = {**missing}
    for bag in bags:
        target = out if len(bags) + len(missing) == 1 else out / names[bag]
        try:
            report = label_bag(bag, target, segmenter, options, topics, resume=resume)
        except (InputError, ConfigError, OSError) as error:
            _logger.error('%s: %s', bag, error)
            outcomes[bag] = str(error)
        else:
            _print_report(bag, target, report)
            outcomes[bag] = report
    if len(outcomes) > 1:
        _print_end(outcomes)
    return max_status([_status(outcome) for outcome in outcomes.values()])


def _found(source: list[Path]) -> tuple[list[Path], list[Path], dict[Path, str]]:
    """List bags, our own results among them, and of several paths those that are no bags."""
    bags: dict[Path, Path] = {}
    results: list[Path] = []
    missing: dict[Path, str] = {}
    for path in source:
        try:
            inner, made = find_bags([path])
        except (InputError, OSError) as error:
            if len(source) == 1:
                raise
            _logger.error('%s', error)
            missing[path] = str(error)
            continue
        for bag in inner:
            bags.setdefault(bag.resolve(), bag)
        results += made
    return list(bags.values()), results, missing


def _print_report(bag: Path, target: Path, report: LabelReport) -> None:
    for line in report.left_out:
        _logger.info('%s: %s', bag, shortened(line))
    for problem in report.problems[:_SHOWN]:
        _logger.warning('%s: %s', bag, shortened(problem))
    if len(report.problems) > _SHOWN:
        more = len(report.problems) - _SHOWN
        _logger.warning('%s: and %d more problems, listed in %s.', bag, more, target / LABELLING)
    for topic in report.silent_topics:
        _logger.error('%s: not one image of %s could be read.', bag, shortened(topic))
    if report.is_finished:
        _logger.info('%s: labelled already, to %s.', bag, target)
    elif report.labelled:
        _logger.info('%s: %d images labelled to %s.', bag, report.labelled, target)
    else:
        _logger.error('%s: no image could be labelled; nothing is written.', bag)


def _status(outcome: LabelReport | str) -> int:
    """Return the exit status of one bag."""
    if isinstance(outcome, str):
        return 2
    if not outcome.is_finished and (outcome.silent_topics or not outcome.labelled):
        return 2
    return 1 if outcome.problems else 0


def max_status(statuses: list[int]) -> int:
    """Return the exit status of several bags: 2 only if none was labelled."""
    if len(statuses) > 1 and min(statuses) < 2:
        return min(max(statuses), 1)
    return max(statuses)


def _print_end(outcomes: dict[Path, LabelReport | str]) -> None:
    """List what became of several bags."""
    statuses = {bag: _status(outcome) for bag, outcome in outcomes.items()}
    whole = sum(status == 0 for status in statuses.values())
    _logger.info('%d of %d bags are labelled without loss.', whole, len(outcomes))
    for bag, status in statuses.items():
        outcome = outcomes[bag]
        if status == 0 or isinstance(outcome, str):
            reason = outcome if isinstance(outcome, str) else ''
        else:
            reason = f'{outcome.labelled} images labelled, {len(outcome.problems)} problems'
        if reason:
            _logger.warning('  %s: %s', bag, reason)


def main() -> None:
    """Run the command on its own: `ros2 run hyperseg_ros bag_label`."""
    from hyperseg_ros.cli import main as run

    run(['bag', 'label', *sys.argv[1:]])


if __name__ == '__main__':
    main()
