# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with an engine that takes two seconds more for every frame."""

from collections.abc import Sequence
import time
from typing import Any

from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.inference.segmenter import Segmenter
from hyperseg_ros.node import segmenter_node


class SlowSegmenter(Segmenter):
    def _segment_all(self, frames: list[Any]) -> list[Segmentation]:
        end_s = time.monotonic() + 2.0
        while time.monotonic() < end_s:
            sum(range(1000))  # busy in Python: the worst that an engine does to other threads
        return super()._segment_all(frames)

    def is_ready(self, image: Sequence[Any]) -> bool:
        return True


segmenter_node.Segmenter = SlowSegmenter  # type: ignore[misc]

if __name__ == '__main__':
    segmenter_node.main()
