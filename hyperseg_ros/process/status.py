# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the exit status of our processes says; launch files read it, so nothing is imported."""

ENGINE_LOST = 75
"""The engine is lost and the process would never answer again: start it anew (EX_TEMPFAIL)."""
