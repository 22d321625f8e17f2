# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a uint8 frame to a uint8 mask, on every engine."""
