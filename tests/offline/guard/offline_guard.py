"""No Python code of this process may reach anything but this machine; every attempt is refused and written down.

An audit hook, not a patched `socket` module: CPython calls it from C before each of these operations, so asyncio,
ssl and aliases of `socket.connect` all pass through it, and nothing in the process can take it away again.
"""

from __future__ import annotations

import os
import sys
from types import FrameType

LOG = "TAILORBIRD_NETWORK_LOG"  # the file that gets one line of JSON for each attempt

# Where the address stands among the arguments of each audit event.
_PLACES = {
    "socket.connect": 1,  # connect and connect_ex; connecting a datagram socket counts too
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
    "socket.getnameinfo": 0,
}
_installed = False


def install() -> None:
    """Guard this process from now on. A second call changes nothing."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    place = _PLACES.get(event)
    if place is None:
        return
    host = _host(arguments[0], arguments[place])
    if host is not None and not is_loopback(host):
        _write_down(event, host)
        raise _refusal(f"the tests may not reach {host!r} ({event})")


def _host(first: object, address: object) -> str | None:
    """The host that is meant, or None where none is: a Unix socket, a socket that is already connected."""
    import socket

    if isinstance(first, socket.SocketType) and first.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    host = address[0] if isinstance(address, tuple) else address
    return host.decode() if isinstance(host, bytes) else host if isinstance(host, str) else None


def is_loopback(host: str) -> bool:
    """Does this name or number mean this very machine? The unspecified address does, when one connects to it."""
    import ipaddress

    if host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _refusal(message: str) -> OSError:
    import errno

    class NetworkRefused(OSError):
        """A connection that a test run may not open."""

    return NetworkRefused(errno.ENETUNREACH, message)


def _write_down(event: str, host: str) -> None:
    log = os.environ.get(LOG)
    if not log:
        return
    import json

    attempt = {
        "pid": os.getpid(),
        "event": event,
        "host": host,
        "test": os.environ.get("PYTEST_CURRENT_TEST"),
        "callers": _callers(),
    }
    number = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(number, json.dumps(attempt).encode() + b"\n")  # one write, so lines of two processes never mix
    finally:
        os.close(number)


def _callers() -> list[str]:
    """The innermost lines that led here, up to eight, outermost last; none of the standard library's or pytest's."""
    library = os.__file__.removesuffix("os.py")
    found: list[str] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None and len(found) < 8:
        file = frame.f_code.co_filename
        if "/_pytest/" in file:
            break
        ours = "site-packages" in file or not file.startswith((library, "<frozen"))
        if ours and file != __file__:
            found.append(f"{file}:{frame.f_lineno}")
        frame = frame.f_back
    return found
