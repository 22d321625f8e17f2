# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator

from fake_gpu import FakeDriver
from fake_gpu import FakeTensorRt
from fake_gpu import install_driver
from fake_gpu import install_tensorrt
import pytest

from hyperseg_core.inference import cuda_driver


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """A driver with one device."""
    yield install_driver(monkeypatch)
    cuda_driver.driver_state.cache_clear()


@pytest.fixture
def trt(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    """TensorRT, on that device."""
    pytest.importorskip('onnxruntime')
    return install_tensorrt(monkeypatch, driver)
