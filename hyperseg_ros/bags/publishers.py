# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With what a topic of a bag is published: the installed class, and QoS as it was recorded."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import ros2_type_name

_MIN_DEPTH, _MAX_KEPT = 10, 1000
"""Messages of a topic that wait for slow subscribers; latched ones that late ones still get."""


def message_class(kind: str) -> Any:
    """Return the installed class of a message type, looking before importing.

    Raises:
        InputError: If it is no type's name, or is not installed.
    """
    package, _, name = ros2_type_name(kind).split('/')
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    # Only a package of messages is imported: a bag must not make us run anything else.
    modules = [Path(place) / 'msg' / '__init__.py' for place in places or ()]
    if not any(module.is_file() for module in modules):
        apt = package.replace('_', '-')
        msg = f'its type {kind} is not installed: apt install ros-$ROS_DISTRO-{apt}.'
        raise InputError(msg)
    try:
        return getattr(importlib.import_module(f'{package}.msg'), name)
    except (ImportError, AttributeError) as err:
        msg = f'package {package} has no message {name}.'
        raise InputError(msg) from err


def qos_of(connection: Connection) -> QoSProfile:
    """Return the QoS that a topic was recorded with; reliable where it is not known.

    One publisher stands for all those of a latched topic, and keeps what they kept together.
    """
    profiles = connection.profiles
    is_best_effort = any(p.reliability.name == 'BEST_EFFORT' for p in profiles)
    depth = max(max((p.depth for p in profiles), default=0), _MIN_DEPTH)
    if connection.is_latched:
        depths = [p.depth for p in profiles]
        depth = sum(depths) if all(depths) and depths else connection.msgcount
    lifespan = [p.lifespan for p in profiles if 0 < p.lifespan.sec < 2**31 - 1]
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=min(max(depth, 1), _MAX_KEPT),
        reliability=(
            ReliabilityPolicy.BEST_EFFORT if is_best_effort else ReliabilityPolicy.RELIABLE
        ),
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL
            if connection.is_latched
            else DurabilityPolicy.VOLATILE
        ),
    )
    if lifespan:
        profile.lifespan = Duration(seconds=lifespan[0].sec, nanoseconds=lifespan[0].nsec)
    return profile
