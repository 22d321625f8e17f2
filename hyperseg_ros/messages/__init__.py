# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and back; nothing here needs a node, and nothing imports ROS.

Anything with the fields of a message will do, so bags are read where no ROS is.
"""
