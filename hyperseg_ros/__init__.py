# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: the node and the tools on topics and bags."""
