# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether what lies in a store is what we write: files there may be anybody's."""

from typing import Any


def is_labelling(content: dict[str, Any]) -> bool:
    """Whether all that is read of a `labelling.json` is there, with its types."""
    fleet = content.get('fleet')
    return (
        isinstance(fleet, dict)
        and isinstance(fleet.get('key'), str)
        and _are_files(fleet.get('outputs'), 'sha256')
        and _is_input(fleet.get('input'))
        and _is_count(content.get('labelled'))
        and isinstance(content.get('problems'), list)
        and _are_images(content.get('images'))
        and _are_pixels(content.get('class_pixels'))
        and isinstance(content.get('options'), dict)
    )


def is_failure(content: dict[str, Any]) -> bool:
    """Whether all that is read of a `failed.json` is there, with its types."""
    fleet = content.get('fleet')
    is_known = isinstance(fleet, dict) and isinstance(fleet.get('key'), str)
    return is_known and isinstance(content.get('reason'), str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _are_files(items: object, digest: str) -> bool:
    """Whether these are files of one folder: name, size and digest each; at least one."""
    return (
        isinstance(items, list)
        and bool(items)
        and all(
            isinstance(item, dict)
            and _is_name(item.get('name'))
            and _is_count(item.get('size'))
            and isinstance(item.get(digest), str)
            for item in items
        )
    )


def _is_name(value: object) -> bool:
    """Whether this is a name in a folder, and leads nowhere else."""
    return (
        isinstance(value, str) and value not in {'', '.', '..'} and not set(value) & set('/\\\0')
    )


def _is_input(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get('url'), str)
        and (item.get('folder') == '' or _is_name(item.get('folder')))
        and _are_files(item.get('files'), 'tag')
    )


def _are_images(items: object) -> bool:
    return isinstance(items, dict) and all(
        isinstance(item, dict) and _is_count(item.get('dropped')) for item in items.values()
    )


def _are_pixels(items: object) -> bool:
    return isinstance(items, dict) and all(
        class_id.isdecimal() and len(class_id) <= 3 and _is_count(count)
        for class_id, count in items.items()
    )
