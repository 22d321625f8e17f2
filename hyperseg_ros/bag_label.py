# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag label`: label every image of bags; exit status and report."""

import logging
from pathlib import Path
import sys
from typing import Any

from hyperseg_core import cli
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_ros.labelling import LabelOptions
from hyperseg_ros.labelling import label_bag

_logger = logging.getLogger(__name__)


def bag_label_command(
    source: list[Path],
    out: Path,
    checkpoint: str = 'default',
    topics: list[str] | None = None,
    engine: str = 'auto',
    device: str = 'auto',
    precision: str = 'f32',
    size: tuple[int, int] | None = None,
    confidence: bool = False,
    overlay: bool = False,
    compressed: bool = False,
    copy: bool = False,
    storage: str = 'mcap',
    resume: bool = False,
) -> int:
    """Label every image of bags; exit status 1 if any was lost, 2 if nothing could be done.

    Args:
        source: Bags: rosbag2 folders, .mcap or .db3 files, ROS 1 .bag files, or a folder of them.
        out: The labelled bag; for several bags, a folder of labelled bags.
        checkpoint: File or name of a shipped checkpoint.
        topics: Topics to label; all with images by default.
        engine: auto, tensorrt, onnxruntime, openvino or torch.
        device: auto, cpu, gpu (Intel), cuda or cuda:N.
        precision: f32, bf16, f16 or auto.
        size: Network input height and width [px]; by default it follows the images.
        confidence: Write the confidence of each mask too.
        overlay: Write overlays too.
        compressed: Write masks as PNG too.
        copy: Copy the input's other topics.
        storage: mcap or sqlite3.
        resume: Go on where an interrupted run stopped.
    """
    bags = find_bags(source)
    options = LabelOptions(confidence, overlay, compressed, copy, storage)
    segmenter = Segmenter(checkpoint, engine, device, precision, size)
    has_lost = has_done = False
    for bag in bags:
        target = out if len(bags) == 1 else out / bag.stem
        try:
            report = label_bag(bag, target, segmenter, options, topics, resume=resume)
        except (InputError, FileNotFoundError) as error:
            _logger.error('%s: %s', bag, error)
            has_lost = True
            continue
        has_done |= report.labelled > 0
        has_lost |= bool(report.problems)
        for problem in report.problems:
            _logger.warning('%s: %s', bag, problem)
        _logger.info('%s: %d images labelled to %s.', bag, report.labelled, target)
    return 0 if not has_lost else 1 if has_done else 2


def find_bags(sources: list[Path]) -> list[Path]:
    """List the bags that paths name: bags themselves, or folders of bags.

    Raises:
        FileNotFoundError: If a path is not there.
        InputError: If a folder holds no bag.
    """
    bags: list[Path] = []
    for path in sources:
        if not path.exists():
            msg = f'No bag at {path}.'
            raise FileNotFoundError(msg)
        if path.is_file() or (path / 'metadata.yaml').is_file():
            bags.append(path)
            continue
        inner = sorted(p for p in path.iterdir() if _is_bag(p))
        if not inner:
            msg = f'{path} is no bag (no metadata.yaml) and holds none.'
            raise InputError(msg)
        bags += inner
    return bags


def _is_bag(path: Path) -> bool:
    return path.suffix in {'.bag', '.mcap', '.db3'} or (path / 'metadata.yaml').is_file()


def main() -> None:
    """Run the command on its own: `ros2 run hyperseg_ros bag_label`."""
    commands: dict[str, Any] = {'label': ('Label every image of bags.', lambda: bag_label_command)}
    sys.exit(cli.run(['label', *sys.argv[1:]], commands))


if __name__ == '__main__':
    main()
