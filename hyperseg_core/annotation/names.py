# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names of files that carry a bag, a topic and a stamp, and are safe on every system."""

from collections import Counter
from collections.abc import Iterable
import hashlib
import re

_MAX_CHARACTERS = 48
_DIGITS = 8
_ODD = re.compile(r'[^A-Za-z0-9]+')
_RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)', re.I)
"""What Windows takes for devices, whatever ending follows."""


def safe_names(texts: Iterable[str]) -> dict[str, str]:
    """Give every text a name of ASCII letters, digits and `-`, no two of them alike.

    `/front/image_raw` becomes `front-image-raw`. Where that says too little (other letters, too
    long, or the same as another's, also in other capitals), a digest of the text follows.
    """
    wanted = sorted(set(texts))
    short = {text: _ODD.sub('-', text).strip('-')[:_MAX_CHARACTERS].strip('-') for text in wanted}
    counts = Counter(name.lower() for name in short.values())
    return {
        text: name if _is_enough(text, name) and counts[name.lower()] == 1 else _long(text, name)
        for text, name in short.items()
    }


def _is_enough(text: str, name: str) -> bool:
    is_whole = text.isascii() and len(text.strip('/')) <= _MAX_CHARACTERS
    return bool(name) and is_whole and not _RESERVED.fullmatch(name)


def _long(text: str, name: str) -> str:
    digest = hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()[:_DIGITS]
    return f'{name}-{digest}' if name else digest


def frame_name(bag: str, topic: str, stamp_ns: int) -> str:
    """Join the safe names of bag and topic with a stamp: `street_front-image-raw_1700000000`."""
    return f'{bag}_{topic}_{stamp_ns:019d}'
