# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What page and server say to each other: formats, bounds, and what is malformed.

The page sends texts of JSON, the server texts of JSON and frames. Everything that the server
sends has a `number`, and nothing follows before the page has acknowledged it. A frame is

    4 bytes, big endian: length of the header | header, JSON | JPEG | ids | confidence | truth

whose header gives the length of each picture, 0 where there is none; the last three are PNG. What
a planner says of the ground has the type `ground` instead, and one picture, PNG: the grid.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import json
import struct
from typing import Any

from hyperseg_core.errors import InputError

MAX_REQUEST_BYTES = 8192
"""Of one message of the page; a list of classes is the longest."""
PARTS = ('picture', 'ids', 'confidence', 'truth')
"""Pictures of a frame, in their order."""
TRANSITIONS = ('configure', 'activate', 'deactivate', 'cleanup', 'shutdown')
_MAX_NAME = 256
_MAX_ITEMS = 256
_MAX_REASON_BYTES = 123
"""Of what may be said when a WebSocket is closed, by RFC 6455."""
ParameterValue = bool | int | float | str | list[str] | list[int]


@dataclass(frozen=True, slots=True)
class Hello:
    """The page's first message."""

    token: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A message has been worked on."""

    number: int


@dataclass(frozen=True, slots=True)
class Look:
    """What the page shows."""

    stream: str
    """Topic of a mask, or '' for none."""
    has_confidence: bool
    ground: str = ''
    """Name of a node that says where the ground is free, or '' for none."""


@dataclass(frozen=True, slots=True)
class ListParameters:
    """What parameters has a node?"""

    request: int
    node: str


@dataclass(frozen=True, slots=True)
class SetParameter:
    """Change a parameter of a node."""

    request: int
    node: str
    name: str
    value: ParameterValue


@dataclass(frozen=True, slots=True)
class ChangeState:
    """Bring a node into another state."""

    request: int
    node: str
    transition: str


@dataclass(frozen=True, slots=True)
class Seek:
    """Show another frame of files."""

    index: int


Request = Hello | Acknowledge | Look | ListParameters | SetParameter | ChangeState | Seek


def parse_request(text: str) -> Request:
    """Read a message of the page.

    Raises:
        InputError: If it is no message that the page sends.
    """
    if len(text) > MAX_REQUEST_BYTES:
        msg = f'Message has {len(text)} characters, at most {MAX_REQUEST_BYTES} are taken.'
        raise InputError(msg)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
        msg = 'Message is no JSON.'
        raise InputError(msg) from err
    kind = data.get('type') if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in _FIELDS:
        msg = f'Message type {kind!r:.40} is unknown, expected {", ".join(_FIELDS)}.'
        raise InputError(msg)
    make, fields = _FIELDS[kind]
    if data.keys() - {'type'} != fields.keys():
        msg = f'Message {kind!r} has not exactly {", ".join(fields)}.'
        raise InputError(msg)
    for name, is_right in fields.items():
        if not is_right(data[name]):
            msg = f'{name} of message {kind!r} is {data[name]!r:.40}, which does not fit.'
            raise InputError(msg)
    return make(*(data[name] for name in fields))


def _is_name(value: Any) -> bool:
    # Nothing that ROS's strings cannot hold: no NUL, no half of a surrogate pair.
    return isinstance(value, str) and len(value) <= _MAX_NAME and value.isprintable()


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_value(value: Any) -> bool:
    if isinstance(value, list):
        is_of_one_kind = len({type(item) for item in value}) <= 1
        is_of_items = all(_is_name(item) or _is_integer(item) for item in value)
        return len(value) <= _MAX_ITEMS and is_of_one_kind and is_of_items
    # JSON of Python knows NaN and Infinity, which no page sends.
    is_finite = isinstance(value, float) and value - value == 0
    return is_finite or _is_flag(value) or _is_name(value) or _is_integer(value)


def _is_integer(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63


def _is_transition(value: Any) -> bool:
    return value in TRANSITIONS


_ASKED = {'request': _is_number, 'node': _is_name}
_FIELDS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    'hello': (Hello, {'token': _is_name}),
    'acknowledge': (Acknowledge, {'number': _is_number}),
    'look': (Look, {'stream': _is_name, 'confidence': _is_flag, 'ground': _is_name}),
    'seek': (Seek, {'index': _is_number}),
    'parameters': (ListParameters, _ASKED),
    'set': (SetParameter, {**_ASKED, 'name': _is_name, 'value': _is_value}),
    'transition': (ChangeState, {**_ASKED, 'transition': _is_transition}),
}


def pack_frame(header: Mapping[str, Any], parts: Sequence[bytes]) -> bytes:
    """Return a frame's message.

    Args:
        header: What belongs to the pictures; their lengths are added.
        parts: The pictures, in the order of `PARTS`, b'' for those that are not there.
    """
    return pack_parts({'type': 'frame', **header}, dict(zip(PARTS, parts, strict=True)))


def pack_parts(header: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """Return a message of a header and pictures by their names."""
    lengths = {name: len(part) for name, part in parts.items()}
    text = json.dumps({**header, 'lengths': lengths}, allow_nan=False).encode()
    return b''.join((struct.pack('>I', len(text)), text, *parts.values()))


def unpack_frame(message: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return header and pictures of a message, as the page reads it."""
    (length,) = struct.unpack_from('>I', message)
    begin = 4 + length
    header = json.loads(message[4:begin])
    parts = {}
    for name, length in header['lengths'].items():
        end = begin + length
        parts[name] = message[begin:end]
        begin = end
    return header, parts


def close_reason(text: str) -> bytes:
    """Return a reason as short as a WebSocket's close takes it."""
    return text.encode()[:_MAX_REASON_BYTES].decode(errors='ignore').encode()
