# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network, read beside the paper: start at `hyperseg.py`."""
