# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where is read and where is written: apart from each other, and writable."""

import os
from pathlib import Path
import socket

from hyperseg_core.errors import ConfigError
from hyperseg_ros.fleet.storage import StorageError
from hyperseg_ros.fleet.storage import Store

_PATTERN = '*?['


def pattern_base(source: str) -> str | None:
    """Return the folder that a pattern begins in; None for what is none.

    A local path with such signs that is there is a path.
    """
    if not any(sign in source for sign in _PATTERN) or Path(source).expanduser().exists():
        return None
    fixed = source[: min(source.index(sign) for sign in _PATTERN if sign in source)]
    return fixed.rpartition('/')[0] or ('/' if source.startswith('/') else '.')


def check_apart(sources: list[str], out: Store) -> None:
    """Check that results do not go among the inputs, nor inputs lie among results.

    Raises:
        ConfigError: If they do.
    """
    target = _place(out)
    for source in sources:
        fixed = pattern_base(source)
        place = _place(Store(source if fixed is None else fixed))
        if _holds(place, target) or _holds(target, place):
            msg = (
                f'{out.url} and {source} lie in one another: results would be among the inputs. '
                f'Write to a place of its own.'
            )
            raise ConfigError(msg)


def _place(store: Store) -> str:
    return os.path.realpath(store.root) if store.is_local else store.url.rstrip('/')


def _holds(outer: str, inner: str) -> bool:
    return f'{inner}/'.startswith(f'{outer.rstrip("/")}/')


def check_writable(out: Store) -> None:
    """Check that results can be written, by writing and removing a small file.

    Raises:
        ConfigError: If not.
    """
    if out.is_local and Path(out.root).exists() and not Path(out.root).is_dir():
        msg = f'{out.url} is a file; name a folder for the results.'
        raise ConfigError(msg)
    name = f'.writable-{socket.gethostname()}-{os.getpid()}'
    try:
        out.write(name, b'')
        out.remove([name])
    except StorageError as error:
        msg = f'Nothing can be written to {out.url}: {error}'
        raise ConfigError(msg) from error
