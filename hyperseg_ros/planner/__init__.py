# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What planners ask of a mask: obstacles and free space on the ground, points with classes."""
