# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from hyperseg_ros.viewer.access import LOOPBACK_NAMES
from hyperseg_ros.viewer.access import is_loopback
from hyperseg_ros.viewer.access import is_token
from hyperseg_ros.viewer.access import new_token
from hyperseg_ros.viewer.access import problem_with_host
from hyperseg_ros.viewer.access import problem_with_origin
from hyperseg_ros.viewer.access import served_names


@pytest.mark.parametrize('host', ['127.0.0.1', '127.3.2.1', '::1', 'localhost'])
def test_addresses_of_this_machine_alone_need_no_token(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '192.168.1.4', 'robot', 'localhost.evil.org'])
def test_other_addresses_are_no_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize('header', ['127.0.0.1:8765', 'localhost:9', 'LOCALHOST', '[::1]:8765'])
def test_hosts_of_this_machine_are_served(header: str) -> None:
    assert problem_with_host(header, LOOPBACK_NAMES, takes_addresses=False) == ''


@pytest.mark.parametrize(
    'header',
    [
        None, '', 'evil.org', 'evil.org:8765', 'localhost.evil.org', 'localhost@evil.org',
        '192.168.1.4:8765', 'localhost:port', '[::1', 'localhost/x', '127.0.0.1.evil.org',
    ],
)  # fmt: skip
def test_names_that_are_made_to_resolve_here_are_refused(header: str | None) -> None:
    assert 'expected' in problem_with_host(header, LOOPBACK_NAMES, takes_addresses=False)


def test_other_machines_ask_by_address_or_by_our_name() -> None:
    names = served_names('0.0.0.0')
    assert problem_with_host('192.168.1.4:8765', names, takes_addresses=True) == ''
    assert problem_with_host('[fe80::1]:8765', names, takes_addresses=True) == ''
    assert problem_with_host('evil.org:8765', names, takes_addresses=True)


@pytest.mark.parametrize(
    ('origin', 'host'),
    [('http://localhost:8765', 'localhost:8765'), ('https://robot', 'robot')],
)
def test_our_own_page_may_open_a_socket(origin: str, host: str) -> None:
    assert problem_with_origin(origin, host) == ''


@pytest.mark.parametrize(
    'origin',
    [
        None, 'null', 'http://evil.org', 'http://localhost:9999', 'file://localhost:8765',
        'http://localhost:8765.evil.org', 'http://[', 'localhost:8765',
    ],
)  # fmt: skip
def test_other_pages_may_not(origin: str | None) -> None:
    assert 'expected' in problem_with_origin(origin, 'localhost:8765')


def test_tokens_differ_and_only_the_right_one_opens() -> None:
    token = new_token()
    assert len(token) > 20
    assert token != new_token()
    assert is_token(token, token)
    for wrong in ('', token[:-1], token + 'x', 'é'):
        assert not is_token(wrong, token)
