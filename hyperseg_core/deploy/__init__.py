# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The deployable network, read beside the engines' rules: start at `graph.py`. No PyTorch."""
