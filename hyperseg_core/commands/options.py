# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Types of options that several commands have, checked where they are read."""

import re
from typing import Annotated

from cyclopts import Parameter


def _check_size(kind: type, value: tuple[int, int] | None) -> None:
    if value is not None and not all(1 <= side <= 16_384 for side in value):
        msg = f'height and width must be 1 to 16384 px, not {value[0]} {value[1]}.'
        raise ValueError(msg)


def _check_device(kind: type, value: str) -> None:
    if not re.fullmatch(r'auto|cpu|gpu|cuda(:\d+)?', value):
        msg = f'expected auto, cpu, gpu (Intel), cuda or cuda:N, not {value!r}.'
        raise ValueError(msg)


def _check_count(kind: type, value: int | None) -> None:
    if value is not None and value < 1:
        msg = f'expected 1 or more, not {value}.'
        raise ValueError(msg)


def _check_probability(kind: type, value: float) -> None:
    if not 0 <= value <= 1:
        msg = f'expected 0 to 1, not {value}.'
        raise ValueError(msg)


ImageSize = Annotated[tuple[int, int], Parameter(validator=_check_size)]
"""Height and width [px]: `--size 384 512`."""
Device = Annotated[str, Parameter(validator=_check_device)]
"""Where an engine runs."""
Count = Annotated[int, Parameter(validator=_check_count)]
"""So many of something, one at least."""
Probability = Annotated[float, Parameter(validator=_check_probability)]
"""A share, 0 to 1."""
