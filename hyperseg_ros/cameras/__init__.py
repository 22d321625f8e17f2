# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras for demos and tests: rendered streets, videos, devices."""
