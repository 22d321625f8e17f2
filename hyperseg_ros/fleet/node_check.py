# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a machine of a cluster has, asked before any work is done."""

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
import platform
import tempfile

from hyperseg_core.checkpoint import load_checkpoint
from hyperseg_core.errors import HyperSegError
from hyperseg_ros.fleet.storage import COMMAND_PATIENCE_S
from hyperseg_ros.fleet.storage import Store


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a machine says of itself."""

    python: str
    package: str
    digest: str
    """Of the checkpoint."""
    trouble: str
    """Why it cannot read the checkpoint or a storage; '' if it can."""


@dataclass(frozen=True, slots=True)
class NodeQuestions:
    """What a machine must be able to use."""

    checkpoint: str = ''
    """A file or the name of a shipped one; '' for none."""
    urls: tuple[str, ...] = ()
    """Folders that are to be readable."""
    scratch: str = ''
    """A folder that is to be writable; '' for none."""


def report_node(asked: NodeQuestions) -> NodeReport:
    """Look at this machine."""
    digest = trouble = ''
    try:
        if asked.checkpoint:
            digest = load_checkpoint(asked.checkpoint).digest
        if asked.scratch:
            Path(asked.scratch).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=asked.scratch):
                pass
        for url in asked.urls:
            store = Store(url, patience_s=COMMAND_PATIENCE_S)
            if not store.kind() and store.is_local:
                trouble = f'it has no {store.url}, which must be the same folder everywhere.'
    except (HyperSegError, OSError) as error:
        trouble = ' '.join(str(error).split())
    version = metadata.version('hyperseg_ros')
    return NodeReport(platform.python_version(), version, digest, trouble)
