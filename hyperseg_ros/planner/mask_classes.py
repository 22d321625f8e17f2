# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the ids of somebody's masks mean: a label set by name, or a LabelInfo that is heard."""

from collections.abc import Mapping
from typing import Any

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.labels import LabelClass
from hyperseg_core.labels import LabelSet
from hyperseg_core.labels import load_labels
from hyperseg_core.resources import resource_names

INSTALL = 'apt install ros-$ROS_DISTRO-vision-msgs'


def heard_label_set(message: Any) -> LabelSet:
    """Return the label set of a vision_msgs/LabelInfo.

    A shipped set with the same names lends its colours and groups; other sets have no groups, so
    that parameters name their classes.

    Raises:
        InputError: If ids are beyond 254 or come twice, or names come twice.
    """
    names: dict[int, str] = {}
    for item in message.class_map:
        number = int(item.class_id)
        if not 0 <= number < IGNORE_ID or number in names:
            msg = f'LabelInfo has the id {number} twice, or beyond 254.'
            raise InputError(msg)
        names[number] = str(item.class_name)
    for known in resource_names('config', 'labels', suffix='.yaml'):
        label_set = load_labels(known)
        if dict(enumerate(label_set.names)) == names:
            return label_set
    try:
        return LabelSet(name='label_info', classes=_classes(names), groups={})
    except ConfigError as error:
        msg = f'LabelInfo cannot be used: {error}'
        raise InputError(msg) from error


def _classes(names: Mapping[int, str]) -> tuple[LabelClass, ...]:
    """Return a class for every id up to the last; those that have no name are called by number."""
    count = max(names, default=-1) + 1
    return tuple(
        LabelClass(
            name=names.get(index, f'id {index}'),
            colour=((index * 67) % 256, (index * 151) % 256, (index * 211) % 256),
        )
        for index in range(count)
    )


def label_info_class() -> Any:
    """Return the message class of LabelInfo.

    Raises:
        ConfigError: If vision_msgs is not installed.
    """
    try:
        from vision_msgs.msg import LabelInfo
    except ImportError as err:
        msg = (
            f'LabelInfo needs vision_msgs, which is not installed: {INSTALL}. Or set `label_set` '
            f'to what the ids of the masks mean, e.g. camvid.'
        )
        raise ConfigError(msg) from err
    return LabelInfo
