# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The chunks of a labelled bag, joined to one that gets its name when it is whole."""

import json
import logging
from pathlib import Path
from typing import Any

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_ros.bags.files import LABELLING
from hyperseg_ros.bags.labeller import LabelOptions
from hyperseg_ros.bags.labeller import chunk_report
from hyperseg_ros.bags.parts import Parts
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.tally import Tally
from hyperseg_ros.bags.types import LABEL_INFO
from hyperseg_ros.bags.writer import BagWriter

_logger = logging.getLogger(__name__)


def join_chunks(
    parts: Parts,
    out: Path,
    segmenter: Segmenter,
    *,
    options: LabelOptions,
    provenance: dict[str, Any],
    problems: list[str],
) -> None:
    """Join the chunks to the output bag and give it its name.

    Args:
        parts: The chunks; removed at the end.
        out: The output, which is not there yet.
        segmenter: Its label set goes into LabelInfo, before the first mask of each topic.
        options: How the bag is stored.
        provenance: Goes into the bag's metadata and, with the problems, into a file of its own.
        problems: What was lost, a line each.

    Raises:
        InputError: If a chunk has been damaged since it was made.
    """
    # Storage files are named after the folder that they are written in.
    unfinished = parts.unfinished('joined') / out.name
    writer = BagWriter(unfinished, storage=options.storage, zstd=options.zstd)
    writer.annotate('hyperseg', json.dumps(provenance, sort_keys=True))
    known: set[str] = set()
    num_labelled = 0
    reports: list[dict[str, Any]] = []
    for chunk in parts.chunks():
        report = chunk_report(chunk)
        reports.append(report)
        num_labelled += report['labelled']
        with open_bag(chunk / 'bag') as reader:
            for message in reader.messages(reader.connections):
                for topic in sorted(set(report['masks']) - known):
                    known.add(topic)
                    _write_label_info(writer, topic, message.time_ns, segmenter)
                writer.copy(message)
            lost = reader.problems + [str(gap) for gap in reader.gaps(reader.connections)]
        if lost:
            writer.abort()
            msg = f'The chunk {chunk} has been damaged: {lost[0]}. Delete it and use --resume.'
            raise InputError(msg)
    writer.close()
    summary = {
        'labelled': num_labelled, 'problems': problems, **Tally(reports).summary(), **provenance,
    }  # fmt: skip
    (unfinished / LABELLING).write_text(json.dumps(summary, indent=2), encoding='utf-8')
    unfinished.rename(out)
    try:
        parts.remove()
    except ConfigError as error:  # the bag is whole; what somebody put beside the parts stays
        _logger.warning('%s', error)


def _write_label_info(
    writer: BagWriter, mask_topic: str, time_ns: int, segmenter: Segmenter
) -> None:
    names, threshold = segmenter.label_set.names, segmenter.confidence_threshold
    info = writer.label_info(writer.header_at(time_ns, ''), names, threshold)
    topic = f'{mask_topic.removesuffix("/mask")}/label_info'
    writer.write(topic, LABEL_INFO, time_ns, info, latched=True)
