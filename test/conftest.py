# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest
from quick_engine import ENGINE

from hyperseg_core.checkpoint import checkpoint_path

# Message fields are only checked where this is set; a wrong type then fails here, not on a robot.
os.environ.setdefault('ROS_PYTHON_CHECK_FIELDS', '1')


@pytest.fixture(scope='session', autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep engines and logs of tests apart from the user's."""
    os.environ['XDG_CACHE_HOME'] = str(tmp_path_factory.mktemp('cache'))
    os.environ['ROS_LOG_DIR'] = str(tmp_path_factory.mktemp('ros_log'))


@pytest.fixture(scope='session')
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lite0 with random weights, meant for 128 x 192 px: quick to build engines of.

    Without PyTorch, which makes it, a shipped checkpoint with the same classes.
    """
    if ENGINE != 'torch':
        return checkpoint_path('fast')
    import dataclasses

    import torch

    from hyperseg_core import build_model
    from hyperseg_core import load_labels
    from hyperseg_core import save_checkpoint
    from hyperseg_core.model.config import load_config

    torch.manual_seed(0)
    config = dataclasses.replace(load_config('lite0'), size=(128, 192))
    path = tmp_path_factory.mktemp('checkpoint') / 'small.safetensors'
    return save_checkpoint(path, build_model(config).eval(), load_labels('camvid'))
