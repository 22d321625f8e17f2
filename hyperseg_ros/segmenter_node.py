# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Old place of the node: `python -m hyperseg_ros.segmenter_node` still runs it."""

from hyperseg_ros.node.segmenter_node import SegmenterNode
from hyperseg_ros.node.segmenter_node import main

__all__ = ['SegmenterNode', 'main']

if __name__ == '__main__':
    main()
