# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The errors that users of the package meet; their messages say what to do next."""


class HyperSegError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(HyperSegError, ValueError):
    """A configuration, preset or label set that cannot work."""


class CheckpointError(HyperSegError):
    """A weights file that cannot be used."""


class InputError(HyperSegError, ValueError):
    """An image, frame or data set that cannot be used."""


class EngineError(HyperSegError):
    """An inference engine that is missing, failed, or disagreed with the reference."""
