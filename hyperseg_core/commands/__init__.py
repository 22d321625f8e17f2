# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What each command of `hyperseg` does; their signatures are their options."""
