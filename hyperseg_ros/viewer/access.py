# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may talk to the page's server: Host, Origin and token.

A page of another site cannot read what a browser gets from us, but it can open a WebSocket, or
have its own name resolve to this machine (DNS rebinding). Both show: a browser always tells the
name that it was asked for (Host) and the page that asks (Origin).
"""

from collections.abc import Iterable
import hmac
import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({'localhost', '127.0.0.1', '::1'})
_TOKEN_BYTES = 18


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(given: str, wanted: str) -> bool:
    """Compare tokens in a time that does not tell how much of them is right."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def served_names(host: str) -> frozenset[str]:
    """Return the names under which a server that listens on `host` may be asked for.

    Beyond these, any IP address is taken where not only loopback is served: rebinding needs a
    name.
    """
    if is_loopback(host):
        return LOOPBACK_NAMES | {host.lower()}
    own = socket.gethostname().lower()
    return LOOPBACK_NAMES | {host.lower(), own, f'{own}.local', socket.getfqdn().lower()}


def problem_with_host(header: str | None, names: Iterable[str], *, takes_addresses: bool) -> str:
    """Say what is wrong with a request's Host; empty where nothing is.

    Args:
        header: The header, or None where it is missing.
        names: Names that are served, in lower case.
        takes_addresses: Whether any IP address will do.
    """
    name = _host_name(f'//{header}') if header else ''
    if name in set(names) or (takes_addresses and _is_address(name)):
        return ''
    return f'Host is {header!r:.80}, expected {" or ".join(sorted(names))}.'


def problem_with_origin(origin: str | None, host: str | None) -> str:
    """Say what is wrong with the Origin of a WebSocket; empty where it is our own page's.

    Args:
        origin: The header, or None where it is missing.
        host: The Host of the same request, already checked.
    """
    try:
        parts = urlsplit(origin or '')
    except ValueError:
        parts = urlsplit('')
    is_ours = parts.scheme in {'http', 'https'} and parts.netloc.lower() == (host or '').lower()
    if origin and host and is_ours:
        return ''
    return f'Origin is {origin!r:.80}, expected the page of http://{host or ""}.'


def _host_name(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return ''
    has_more = parts.path or parts.query or parts.fragment or '@' in parts.netloc
    return '' if has_more else (parts.hostname or '').lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
