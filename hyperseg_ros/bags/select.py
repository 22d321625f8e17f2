# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag select`: the frames of bags that are worth a person's time."""

from collections.abc import Iterator
import contextlib
import logging
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column
from rich.table import Table
from rich.text import Text

from hyperseg_core.annotation.candidates import Candidates
from hyperseg_core.annotation.selection import Choice
from hyperseg_core.commands.options import Count
from hyperseg_core.commands.options import Device
from hyperseg_core.commands.options import ImageSize
from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.errors import shortened
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_core.labels import LabelSet
from hyperseg_ros.bags.files import find_bags
from hyperseg_ros.bags.files import result_names
from hyperseg_ros.bags.frames import EverySeconds
from hyperseg_ros.bags.frames import read_frames
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.selected import selection_text
from hyperseg_ros.bags.topics import image_topics

_logger = logging.getLogger(__name__)
_SHOWN = 40
_MAX_S = 86_400.0


def bag_select_command(
    *paths: Path,
    count: Count,
    gap: float = 2.0,
    every: float = 0.5,
    checkpoint: str = 'default',
    topics: list[str] | None = None,
    engine: str = 'auto',
    device: Device = 'cpu',
    precision: str = 'f32',
    size: ImageSize | None = None,
) -> int:
    """Choose frames worth labelling: unsure of rare classes, unlike each other, healthy.

    Exit status 1 if there are fewer than wanted or some could not be read.

    Args:
        paths: Bags, or folders of them, and last the JSON file to write, which `bag export
            --selection` takes.
        count: Frames wanted, of all bags together.
        gap: Least time between two frames of a camera [s].
        every: Time between the frames that are looked at [s]; 0 looks at all.
        checkpoint: File or name of a shipped checkpoint.
        topics: Topics of images; by default all of cameras.
        engine: auto, onnxruntime, openvino, torch, or with `--device cuda` tensorrt.
        device: cpu, so that the same bag gives the same choice again; auto, gpu, cuda or cuda:N.
        precision: f32, bf16, f16 or auto.
        size: Network input height and width [px]; by default it follows the images.
    """
    bags, out = bags_and_out(paths, 'hyperseg bag select BAG OUT.json --count 50')
    for name, value in (('--gap', gap), ('--every', every)):
        check_seconds(name, value)
    if out.exists():
        msg = f'{out} is there already; give another name or delete it.'
        raise ConfigError(msg)
    _check_writable(out)
    segmenter = Segmenter(checkpoint, engine, device, precision, size, replaces_lost=False)
    candidates = Candidates(segmenter)
    sources, problems = _look_at(bags, candidates, topics, every)
    chosen = candidates.choose(count, gap_s=gap)
    candidates.close()
    print_problems(problems)
    faults = ', '.join(f'{number} {fault}' for fault, number in sorted(candidates.faults.items()))
    if not chosen:
        msg = f'No frame to choose from in {", ".join(map(str, bags))}: {faults or "none read"}.'
        raise InputError(msg)
    frames = [_entry(candidates, item, sources, segmenter.label_set) for item in chosen]
    made_of = {
        'checkpoint': segmenter.checkpoint.digest, 'engine': str(segmenter.spec), 'gap_s': gap,
        'every_s': every, 'candidates': len(candidates.frames),
        'left_out': dict(sorted(candidates.faults.items())),
    }  # fmt: skip
    write_atomically(out, selection_text(frames, made_of).encode())
    _print(frames)
    _logger.info(
        '%d of %d frames chosen, to %s; left out: %s.', len(chosen), len(candidates.frames), out,
        faults or 'none',
    )  # fmt: skip
    if len(chosen) < count:
        _logger.warning(
            'Chosen are %d frames, not %d: no other is %g s from all of them. Lower --gap or '
            '--every, or give more bags.', len(chosen), count, gap,
        )  # fmt: skip
    return 1 if problems or len(chosen) < count else 0


def _check_writable(out: Path) -> None:
    """Check before long work that the result can be written.

    Raises:
        ConfigError: If it cannot.
    """
    try:
        write_atomically(out, b'')
        out.unlink()
    except OSError as error:
        msg = f'{out} cannot be written: {error.strerror or error}; name another file.'
        raise ConfigError(msg) from error


def _look_at(
    bags: list[Path], candidates: Candidates, topics: list[str] | None, every_s: float
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Look at frames of bags.

    Returns:
        Bag and topic of every stream of the candidates, and what was lost, a line each.

    Raises:
        InputError: If the only bag cannot be read.
    """
    names, problems = result_names(bags), list[str]()
    sources: dict[str, tuple[str, str]] = {}
    for bag in bags:
        lost: list[str] = []
        with bag_of_several(bag, len(bags), lost), open_bag(bag) as reader:
            found = image_topics(reader, topics)
            for line in found.left_out:
                _logger.info('%s: %s', bag, shortened(line))
            for frame in read_frames(reader, found.chosen, EverySeconds(every_s), lost):
                stream = f'{names[bag]}\n{frame.topic}'
                sources[stream] = (names[bag], frame.topic)
                try:
                    candidates.add(stream, frame.stamp_ns, frame.pixels)
                except InputError as error:
                    lost.append(f'{frame.topic}, stamp {frame.stamp_ns} ns: {error}')
        problems += [f'{bag}: {line}' for line in lost]
    return sources, problems


@contextlib.contextmanager
def bag_of_several(bag: Path, num_bags: int, lost: list[str]) -> Iterator[None]:
    """Let one of several bags that cannot be read cost itself alone: a line in `lost`.

    Raises:
        InputError: If it is the only one.
        OSError: Likewise.
    """
    try:
        yield
    except (InputError, OSError) as error:
        if num_bags == 1:
            raise
        lost.append(f'the bag is left out: {error}')


def bags_and_out(paths: tuple[Path, ...], example: str) -> tuple[list[Path], Path]:
    """Split a command's paths into bags, each once, and where to write.

    Raises:
        ConfigError: If there are too few.
        InputError: If a path holds no bag.
        FileNotFoundError: If it is not there.
    """
    if len(paths) < 2:
        given = ' '.join(map(str, paths)) or 'nothing'
        msg = f'Expected bags and, last, where to write: `{example}`, not {given}.'
        raise ConfigError(msg)
    *sources, out = paths
    bags, results = find_bags(list(sources))
    for path in results:
        _logger.info('%s is left out: it is a labelled bag.', path)
    if not bags:
        msg = 'There are only labelled bags; name one to take it all the same.'
        raise InputError(msg)
    return bags, out


def check_seconds(name: str, value: float) -> None:
    """Check a time that an option gives.

    Raises:
        ConfigError: If it is none.
    """
    if not (math.isfinite(value) and 0 <= value <= _MAX_S):
        msg = f'{name} is {value}, but must be 0 to {_MAX_S:g} seconds.'
        raise ConfigError(msg)


def print_problems(problems: list[str]) -> None:
    """Print what was lost, a line each; not more of them than one reads."""
    for problem in problems[:_SHOWN]:
        _logger.warning('%s', shortened(problem))
    if len(problems) > _SHOWN:
        _logger.warning('and %d more problems.', len(problems) - _SHOWN)


def _entry(
    candidates: Candidates,
    choice: Choice,
    sources: dict[str, tuple[str, str]],
    label_set: LabelSet,
) -> dict[str, Any]:
    stream, stamp_ns = candidates.frames[choice.index]
    bag, topic = sources[stream]
    unsure = [label_set.names[index] for index in choice.classes]
    reasons = [f'unsure of {", ".join(unsure)}'] if unsure else []
    reasons.append(f'unlike those before by {choice.distance:.2f} of 2')
    return {
        'bag': bag, 'topic': topic, 'stamp_ns': stamp_ns, 'score': round(choice.score, 4),
        'distance': round(choice.distance, 4), 'reasons': reasons,
    }  # fmt: skip


def _print(frames: list[dict[str, Any]]) -> None:
    table = Table('bag', 'topic', Column('stamp [ns]', no_wrap=True), 'score', 'why')
    for frame in frames:
        cells = (frame['bag'], frame['topic'], frame['stamp_ns'], f'{frame["score"]:.2f}')
        table.add_row(*(Text(str(cell)) for cell in cells), Text('; '.join(frame['reasons'])))
    Console().print(table)
