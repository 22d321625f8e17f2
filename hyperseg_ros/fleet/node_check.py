# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine of a cluster has, asked before any work is done."""

from dataclasses import dataclass
from importlib import metadata
import platform

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import HyperSegError
from hyperseg_ros.fleet.storage import Store

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a machine says of itself."""

    python: str
    package: str
    digest: str
    """Of the checkpoint."""
    trouble: str
    """Why it cannot read the checkpoint or a storage; '' if it can."""


def report_node(checkpoint: str, urls: tuple[str, ...]) -> NodeReport:
    """Look at this machine.

    Args:
        checkpoint: A file or the name of a shipped one; '' for none.
        urls: Folders that are to be readable.
    """
    digest = trouble = ''
    try:
        if checkpoint:
            digest = load_checkpoint(checkpoint).digest
        for url in urls:
            store = Store(url, patience_s=_PATIENCE_S)
            if not store.kind() and store.is_local:
                trouble = f'it has no {store.url}, which must be the same folder everywhere.'
    except (HyperSegError, OSError) as error:
        trouble = ' '.join(str(error).split())
    version = metadata.version('hyperseg_ros')
    return NodeReport(platform.python_version(), version, digest, trouble)
