# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Built engines on disk: keyed on all that they depend on, written at once or not at all.

An entry is a folder with the exported graph and a manifest that holds the graph's hash and the
outcome of the parity check. Whatever does not match its manifest is built again, never loaded.
"""

from collections.abc import Iterator
import contextlib
from dataclasses import asdict
import hashlib
import json
import logging
import os
from pathlib import Path
import shutil
import tempfile
from typing import Any

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.inference.engines import OPSET
from hyperseg_core.inference.engines import EngineSpec
from hyperseg_core.inference.engines import device_name
from hyperseg_core.inference.engines import engine_version
from hyperseg_core.preprocessing import Size

_logger = logging.getLogger(__name__)
_LAYOUT_VERSION = 1


def cache_root() -> Path:
    """Return the user's cache folder for engines (XDG base directory specification)."""
    base = os.environ.get('XDG_CACHE_HOME') or str(Path.home() / '.cache')
    return Path(base) / 'hyperseg_ros' / 'engines'


def cache_key(
    checkpoint: Checkpoint, spec: EngineSpec, batch: int, size: Size, output_size: Size
) -> dict[str, Any]:
    """Return all that a built engine depends on."""
    return {
        'layout': _LAYOUT_VERSION,
        'checkpoint': checkpoint.digest,
        'engine': asdict(spec),
        'engine_version': engine_version(spec.name),
        'torch': engine_version('torch'),
        'opset': OPSET,
        'device': device_name(spec.device),
        'batch': batch,
        'size': list(size),
        'output_size': list(output_size),
        'graph': _source_hash(),
    }


def _source_hash() -> str:
    """Hash the code that makes the graph: another release's engines are not ours."""
    folder = Path(__file__).parent
    sources = [folder / name for name in ('graph.py', 'upsampling.py', 'export.py')]
    sources += (folder.parent / 'model').glob('*.py')
    hasher = hashlib.sha256()
    for path in sorted(sources):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


class CacheEntry:
    """One engine's folder."""

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        """Describe the entry; nothing is read or written yet."""
        self.folder, self._key = folder, key

    @property
    def graph(self) -> Path:
        """The exported graph."""
        return self.folder / 'graph.onnx'

    @property
    def _manifest(self) -> Path:
        return self.folder / 'manifest.json'

    def is_good(self) -> bool:
        """Tell whether the graph is what the manifest says, for this key."""
        try:
            manifest = json.loads(self._manifest.read_text(encoding='utf-8'))
            return bool(
                manifest['key'] == self._key and manifest['sha256'] == _file_hash(self.graph)
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def parity(self) -> dict[str, Any] | None:
        """Return the outcome of the parity check, if it was made."""
        try:
            found = json.loads(self._manifest.read_text(encoding='utf-8')).get('parity')
        except (OSError, ValueError, AttributeError):
            return None
        return found if isinstance(found, dict) else None

    def write_manifest(self, parity: dict[str, Any] | None = None) -> None:
        """Record the graph's hash and, once it is known, the parity check's outcome."""
        content = {'key': self._key, 'sha256': _file_hash(self.graph), 'parity': parity}
        write_atomically(self._manifest, json.dumps(content, indent=2).encode())


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def exported_graph(
    checkpoint: Checkpoint, spec: EngineSpec, *, batch: int, size: Size, output_size: Size
) -> Iterator[CacheEntry]:
    """Give the entry with the exported graph, from the cache or freshly built.

    Processes that want the same entry wait for each other. Where the cache cannot be written,
    a warning is logged and the entry is a temporary one.
    """
    key = cache_key(checkpoint, spec, batch, size, output_size)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    options: dict[str, Any] = {
        'size': size, 'output_size': output_size, 'batch': batch, 'form': spec.form,
    }  # fmt: skip
    try:
        folder = cache_root() / name
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / 'lock'):
            entry = CacheEntry(folder, key)
            if not entry.is_good():
                for stale in folder.iterdir():
                    if stale.name != 'lock':
                        _remove(stale)
                _fill(entry, checkpoint, options)
            yield entry
        return
    except OSError as err:
        if err.errno is None:
            raise
        _logger.warning(
            'The engine cache %s cannot be used (%s); the engine is built for this run only. Set '
            'XDG_CACHE_HOME to a folder with room that you may write.', cache_root(), err,
        )  # fmt: skip
    temporary = Path(tempfile.mkdtemp(prefix='hyperseg-engine-'))
    try:
        entry = CacheEntry(temporary, key)
        _fill(entry, checkpoint, options)
        yield entry
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(entry: CacheEntry, checkpoint: Checkpoint, options: dict[str, Any]) -> None:
    from hyperseg_core.inference.export import export_onnx  # PyTorch, which a full cache spares

    export_onnx(checkpoint, entry.graph, **options)
    entry.write_manifest()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
