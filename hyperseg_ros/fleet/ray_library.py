# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ray, imported where it is used: it is an optional part, and would report its use."""

import logging
import os
from typing import Any


def import_ray() -> Any:
    """Import Ray, silenced: it would report its use to a host of its own."""
    os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
    logging.getLogger('ray').setLevel(logging.ERROR)
    import ray
    import ray.exceptions

    return ray
