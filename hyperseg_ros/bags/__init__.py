# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags: read, written, labelled, compared and played, on machines with ROS or without."""
