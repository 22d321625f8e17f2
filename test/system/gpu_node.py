# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node on a GPU that is not there, and that is lost as soon as the file LOSE_GPU exists."""

import os
from pathlib import Path
import sys
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'core' / 'inference'))

from fake_gpu import ILLEGAL_ADDRESS
from fake_gpu import FakeDriver
from fake_gpu import install_driver
from fake_gpu import install_tensorrt

from hyperseg_ros.node import segmenter_node


def lose(driver: FakeDriver) -> None:
    def wait(stream: Any) -> int:
        return ILLEGAL_ADDRESS if Path(os.environ['LOSE_GPU']).exists() else 0

    driver.cuStreamSynchronize = wait  # type: ignore[method-assign]


if __name__ == '__main__':
    patch = pytest.MonkeyPatch()
    fake = install_driver(patch)
    install_tensorrt(patch, fake)
    lose(fake)
    segmenter_node.main()
