# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How images get from process to process: the Fast DDS profile that is shipped.

Fast DDS's default shared memory holds 512 kB, less than a frame of 640 x 480 px; a larger frame
goes in fragments, of which a best-effort subscriber loses some. With the profile a process sends
through 64 MB of shared memory, and others need not have it to receive.
"""

from collections.abc import Mapping
import os

from hyperseg_core.resources import resource

_OLD_DISTRIBUTIONS = {'humble', 'iron', 'jazzy'}


def transport_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that give a process the profile; none where the user chose another.

    Args:
        environment: The variables that are set.
    """
    chosen = ('FASTDDS_BUILTIN_TRANSPORTS', 'FASTDDS_DEFAULT_PROFILES_FILE')
    if any(environment.get(name) for name in (*chosen, 'FASTRTPS_DEFAULT_PROFILES_FILE')):
        return {}
    profile = str(resource('config', 'fastdds.xml'))
    names = ['FASTDDS_DEFAULT_PROFILES_FILE']
    if environment.get('ROS_DISTRO') in _OLD_DISTRIBUTIONS:
        names.append('FASTRTPS_DEFAULT_PROFILES_FILE')  # newer ones warn of this name
    return dict.fromkeys(names, profile)
