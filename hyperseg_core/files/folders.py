# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing a folder whole or not at all, and keeping names from files inside a folder."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import shutil
import tempfile

from hyperseg_core.errors import ConfigError
from hyperseg_core.errors import InputError


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write in, which gets its name when all is written; what fails leaves none.

    Raises:
        ConfigError: If `out` is there already.
    """
    if out.exists() or out.is_symlink():
        msg = f'{out} is there already; give another name or delete it.'
        raise ConfigError(msg)
    made = [folder for folder in (out.parent, *out.parent.parents) if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', suffix='.part', dir=out.parent))
    inner = temporary / out.name  # mkdtemp's own is closed to others
    try:
        inner.mkdir()
        yield inner
        inner.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise
    temporary.rmdir()


def path_inside(folder: Path, name: str) -> Path:
    """Return the file of a folder that a name from another file means.

    Raises:
        InputError: If it leads out of the folder, is no file name, or is not there.
    """
    # Tools on Windows write backslashes.
    relative = Path(name.replace('\\', '/')) if '\0' not in name else Path('/')
    if relative.is_absolute() or '..' in relative.parts or relative.drive:
        msg = f'{name!r:.200} leads out of {folder}; names of images are relative to it.'
        raise InputError(msg)
    path = folder / relative
    try:
        is_inside, is_file = path.resolve().is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError, RuntimeError) as err:  # too long, no text, a loop of links
        msg = f'{name!r:.200} is no name of a file ({type(err).__name__}).'
        raise InputError(msg) from err
    if not is_inside:
        msg = f'{name!r:.200} is a link that leads out of {folder}.'
        raise InputError(msg)
    if not is_file:
        msg = f'There is no image {name!r:.200} in {folder}.'
        raise InputError(msg)
    return path
