# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import string

from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.protocol import MAX_REQUEST_BYTES
from hyperseg_ros.viewer.protocol import Acknowledge
from hyperseg_ros.viewer.protocol import ChangeState
from hyperseg_ros.viewer.protocol import Hello
from hyperseg_ros.viewer.protocol import ListParameters
from hyperseg_ros.viewer.protocol import Look
from hyperseg_ros.viewer.protocol import SetParameter
from hyperseg_ros.viewer.protocol import close_reason
from hyperseg_ros.viewer.protocol import pack_frame
from hyperseg_ros.viewer.protocol import parse_request
from hyperseg_ros.viewer.protocol import unpack_frame


@pytest.mark.parametrize(
    ('message', 'meant'),
    [
        ({'type': 'hello', 'token': ''}, Hello('')),
        ({'type': 'acknowledge', 'number': 3}, Acknowledge(3)),
        (
            {'type': 'look', 'stream': '/s/mask', 'confidence': True, 'ground': '/g'},
            Look('/s/mask', True, '/g'),
        ),
        ({'type': 'parameters', 'request': 1, 'node': '/s'}, ListParameters(1, '/s')),
        (
            {'type': 'set', 'request': 2, 'node': '/s', 'name': 'classes', 'value': ['road']},
            SetParameter(2, '/s', 'classes', ['road']),
        ),
        (
            {'type': 'transition', 'request': 3, 'node': '/s', 'transition': 'cleanup'},
            ChangeState(3, '/s', 'cleanup'),
        ),
    ],
)
def test_messages_of_the_page_are_read(message: dict[str, object], meant: object) -> None:
    assert parse_request(json.dumps(message)) == meant


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('', 'no JSON'),
        ('[' * 5000, 'no JSON'),
        ('[]', 'unknown'),
        ('{"type": "read_file"}', "'read_file' is unknown"),
        ('{"type": ["hello"]}', 'unknown'),
        ('{"type": "hello"}', 'has not exactly token'),
        ('{"type": "hello", "token": "", "more": 1}', 'has not exactly token'),
        ('{"type": "acknowledge", "number": true}', 'number'),
        ('{"type": "acknowledge", "number": -1}', 'number'),
        (json.dumps({'type': 'hello', 'token': 'x' * 257}), 'token'),
        ('{"type": "look", "stream": 1, "confidence": true, "ground": ""}', 'stream'),
        ('{"type": "look", "stream": "", "confidence": true, "ground": []}', 'ground'),
        ('{"type": "look", "stream": "", "confidence": true}', 'exactly'),
        ('{"type": "transition", "request": 1, "node": "/s", "transition": []}', 'transition'),
        ('{"type": "set", "request": 1, "node": "", "name": "a", "value": NaN}', 'value'),
        ('{"type": "set", "request": 1, "node": "", "name": "a", "value": [1, "b"]}', 'value'),
        ('{"type": "set", "request": 1, "node": "", "name": "a", "value": {"b": 1}}', 'value'),
        ('{"type": "set", "request": 1, "node": "", "name": "a", "value": "b\\u0000"}', 'value'),
        ('{"type": "hello", "token": "\\ud800"}', 'token'),
        ('x' * (MAX_REQUEST_BYTES + 1), 'at most'),
    ],
)
def test_malformed_messages_are_refused_with_a_reason(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        parse_request(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
_TYPES = st.sampled_from(['hello', 'acknowledge', 'look', 'parameters', 'set', 'transition'])
_FIELDS = st.sampled_from(['type', 'token', 'number', 'stream', 'confidence', 'node', 'value'])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_FIELDS, _JSON), _TYPES)
def test_whatever_is_sent_is_a_message_or_refused(data: dict[str, object], kind: str) -> None:
    with contextlib.suppress(InputError):
        parse_request(json.dumps({**data, 'type': kind}))


def test_frames_are_read_as_they_were_packed() -> None:
    header, parts = unpack_frame(pack_frame({'number': 5}, [b'jpeg', b'', b'png', b'']))
    assert header['number'] == 5
    assert parts == {'picture': b'jpeg', 'ids': b'', 'confidence': b'png', 'truth': b''}


def test_reasons_fit_into_a_close() -> None:
    reason = close_reason('ü' * 100)
    assert len(reason) <= 123
    assert reason.decode() == 'ü' * 61
