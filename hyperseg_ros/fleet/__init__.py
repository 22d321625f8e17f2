# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Many bags, on one machine or a cluster, from and to folders or object storage."""
