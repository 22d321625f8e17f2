# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of format version 1, as earlier releases wrote them."""

from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save_file

from hyperseg_core.checkpoint_file import digest
from hyperseg_core.stored_frames import PREFIX


def write_version_1(source: Path, out: Path) -> Path:
    """Write a copy of a checkpoint without the frames that engines are checked with."""
    with safe_open(source, 'np') as file:
        state = {k: file.get_tensor(k) for k in file.keys() if not k.startswith(PREFIX)}
        metadata = dict(file.metadata()) | {'format_version': '1'}
    metadata['digest'] = digest(state, metadata)
    save_file(state, out, metadata)
    return out
