# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine that tests use which are about something else: the one that is there at once."""

import importlib.util

ENGINE = 'torch' if importlib.util.find_spec('torch') is not None else 'openvino'
