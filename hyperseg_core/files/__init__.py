# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of any kind: written whole or not at all, read with types."""
