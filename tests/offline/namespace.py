"""An empty network namespace: loopback, no route to anywhere, and counters that see native code's attempts too."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
_IFREQ = "16sh22x"  # struct ifreq: a name, flags, padding up to 40 bytes


def entrance() -> list[str] | None:
    """The command that starts another one in a new network namespace, or None where that is not allowed.

    Root asks for the network alone: a user namespace as well would change who owns which file."""
    tries = (["unshare", "-n"], ["unshare", "-rn"]) if os.geteuid() == 0 else (["unshare", "-rn"],)
    return next((command for command in tries if shutil.which("unshare") and _works(command)), None)


def _works(command: list[str]) -> bool:
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


def raise_loopback() -> None:
    """Bring `lo` up, which is down in a new namespace. By ioctl, because bare machines have no `ip` command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_IFREQ, b"lo", 0))
        flags = struct.unpack(_IFREQ, answer)[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))


def unroutable() -> int:
    """How often something in this namespace asked for a route and there was none: every attempt to leave it."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:3] == "Ip:")
    ipv6 = Path("/proc/net/snmp6")  # missing where the kernel has no IPv6
    lines = (line.split() for line in ipv6.read_text().splitlines()) if ipv6.exists() else ()
    return int(values[names.index("OutNoRoutes")]) + sum(int(n) for name, n in lines if name == "Ip6OutNoRoutes")
