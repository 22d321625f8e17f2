# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml: the files of a rosbag2 folder, and how many messages it promises."""

from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from pathlib import PurePath
from typing import Any

from rosbags.interfaces import Qos
import yaml

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import read_profiles
from hyperseg_ros.bags.connection import type_name

METADATA = 'metadata.yaml'
_MAX_BYTES = 64 << 20
_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class TopicMetadata:
    """What metadata.yaml says of a topic."""

    count: int
    profiles: tuple[Qos, ...]
    digest: str


@dataclass(slots=True)
class BagMetadata:
    """What metadata.yaml says; empty where it says nothing that can be used."""

    files: list[str] = field(default_factory=list)
    topics: dict[tuple[str, str], TopicMetadata] = field(default_factory=dict)
    """By name and type."""
    problems: list[str] = field(default_factory=list)


def read_metadata(folder: Path) -> BagMetadata:
    """Read a folder's metadata.yaml; values of wrong types are left out and reported.

    Raises:
        OSError: If it cannot be read.
    """
    try:
        information = _information(folder / METADATA)
        files = _typed(information.get('relative_file_paths'), list, 'relative_file_paths')
        found = BagMetadata([PurePath(str(name)).name for name in files])
        topics = information.get('topics_with_message_count', [])
        topics = _typed(topics, list, 'topics_with_message_count')
    except InputError as error:
        return BagMetadata(problems=[f'{error} The files are read without it.'])
    for item in topics:
        try:
            _add_topic(found, item)
        except InputError as error:
            found.problems.append(str(error))
    return found


def _information(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_BYTES:
        msg = f'{METADATA} is larger than {_MAX_BYTES} bytes.'
        raise InputError(msg)
    try:
        content = yaml.load(path.read_text(encoding='utf-8', errors='replace'), _LOADER)
    except (yaml.YAMLError, RecursionError, ValueError) as err:
        reason = ' '.join(str(err).split())[:200]
        msg = f'{METADATA} is no YAML: {reason}.'
        raise InputError(msg) from err
    content = _typed(content, dict, 'content')
    return dict(_typed(content.get('rosbag2_bagfile_information'), dict, 'information of the bag'))


def _add_topic(found: BagMetadata, item: Any) -> None:
    topic = _typed(_typed(item, dict, 'topic').get('topic_metadata'), dict, 'topic_metadata')
    name = _typed(topic.get('name'), str, 'name of a topic')
    name = name.encode(errors='replace').decode()  # YAML can hold half of a character
    kind = type_name(_typed(topic.get('type'), str, f'type of {name}'))
    count = _typed(item.get('message_count', 0), int, f'message_count of {name}')
    profiles = read_profiles(topic.get('offered_qos_profiles', ''))
    digest = str(topic.get('type_description_hash') or '')
    known = found.topics.get((name, kind))
    if known is not None:
        count, profiles = count + known.count, profiles + known.profiles
    found.topics[name, kind] = TopicMetadata(max(count, 0), profiles, digest)


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        msg = f'{METADATA}: {name[:200]} is {str(value)[:40]!r}, expected {kind.__name__}.'
        raise InputError(msg)
    return value
