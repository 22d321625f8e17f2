# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors that users of the package meet; their messages say what to do next."""

_MAX_CHARACTERS = 700
_TAIL_CHARACTERS = 200


def shortened(text: str, limit: int = _MAX_CHARACTERS) -> str:
    """Return a message of bearable length: what files hold may be a megabyte of it.

    Its end, which says what to do, stays.
    """
    if len(text) <= limit:
        return text
    tail = min(_TAIL_CHARACTERS, limit // 3)
    return f'{text[: limit - tail - 3]}...{text[-tail:]}'


class HyperSegError(Exception):
    """Base of every error that this package raises on purpose."""

    def __init__(self, *args: object) -> None:
        """Take a message, whose middle is left out where it is too long to be read."""
        super().__init__(*(shortened(arg) if isinstance(arg, str) else arg for arg in args))


class ConfigError(HyperSegError, ValueError):
    """A configuration, preset or label set that cannot work."""


class CheckpointError(HyperSegError):
    """A weights file that cannot be used."""


class InputError(HyperSegError, ValueError):
    """An image, frame or data set that cannot be used."""


class EngineError(HyperSegError):
    """An inference engine that is missing, failed, or disagreed with the reference."""

    def __init__(self, *args: object, lost: bool = False) -> None:
        """Take a message, and whether the engine will not run again: its device is gone."""
        super().__init__(*args)
        self.lost = lost
