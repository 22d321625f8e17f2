# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames for people to correct: which are worth it, the tools' formats, and the way back."""
