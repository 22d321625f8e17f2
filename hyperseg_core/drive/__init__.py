# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rendered street scenes with exact labels and depth: ours, from a seed and a time."""

from hyperseg_core.drive.scene import DriveFrame
from hyperseg_core.drive.scene import DriveScene

__all__ = ['DriveFrame', 'DriveScene']
