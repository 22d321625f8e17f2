# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the package's own data lie: configurations, label sets and shipped checkpoints.

The same folders are found in a source tree, a pip prefix and a colcon install space, without
asking ROS: the first parent of this file that holds them wins.
"""

from pathlib import Path

from hyperseg_core.errors import ConfigError

_SHARE = Path('share', 'hyperseg_ros')


def resource(*parts: str) -> Path:
    """Return the path of a file or folder that the package ships.

    Args:
        parts: Path below the package's data folder, e.g. `'config', 'model', 'camvid-s.yaml'`.

    Raises:
        ConfigError: If it is in none of the places where an installation puts it.
    """
    relative = Path(*parts)
    source_tree = Path(__file__).resolve().parents[1]
    candidates = [source_tree / relative]
    candidates += [parent / _SHARE / relative for parent in Path(__file__).parents]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    msg = (
        f'{relative} is not part of this installation (looked beside {source_tree} and in its '
        f"prefixes' {_SHARE}). Install the package again: `pip install .` or `colcon build`."
    )
    raise ConfigError(msg)


def resource_names(*parts: str, suffix: str) -> tuple[str, ...]:
    """Return the sorted stems of the shipped files with `suffix` in a folder."""
    return tuple(sorted(path.stem for path in resource(*parts).glob(f'*{suffix}')))
