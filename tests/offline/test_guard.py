"""The guard is tested by planted attempts, each with a log of its own, so that none of them can hide a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import namespace
import pytest
from network_watch import PLANTED

RUN = Path(__file__).with_name("run.py")
FAR = "192.0.2.1"  # TEST-NET-1 (RFC 5737): it belongs to nobody
LOG = "TAILORBIRD_NETWORK_LOG"
ATTEMPTS = {
    "connect": f"import socket; socket.create_connection(('{FAR}', 80))",
    "connect by IPv6": "import socket; socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "connect without an exception": f"import socket; socket.socket().connect_ex(('{FAR}', 80))",
    "the C module": f"import _socket; _socket.socket().connect(('{FAR}', 80))",
    "a datagram": f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{FAR}', 80))",
    "a look-up": "import socket; socket.getaddrinfo('tailorbird.invalid', 443)",
    "asyncio": f"import asyncio; asyncio.run(asyncio.open_connection('{FAR}', 80))",
    "urllib": f"import urllib.request; urllib.request.urlopen('http://{FAR}/')",
    "a grandchild": "import subprocess, sys; subprocess.run([sys.executable, '-c', "
    f"\"import socket; socket.create_connection(('{FAR}', 80))\"], check=True)",
}
NATIVE = f"""
import ctypes, socket, struct
far = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(80), socket.inet_aton("{FAR}"))
libc = ctypes.CDLL(None)
assert libc.connect(libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0), far, len(far)) == -1
"""
needs_namespace = pytest.mark.skipif(namespace.entrance() is None, reason="no network namespaces are allowed here")
Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "planted.jsonl"


@pytest.fixture
def python(tmp_path: Path, log: Path) -> Python:
    """Runs Python in a child whose attempts go to a log of its own."""
    outer = ("PYTEST_XDIST", "TAILORBIRD_NAMESPACE")  # a nested pytest is nobody's worker
    environment = {name: value for name, value in os.environ.items() if not name.startswith(outer)}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, LOG: str(log)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def _nested(tmp_path: Path, python: Python, attempt: str, *launcher: str | Path) -> subprocess.CompletedProcess[str]:
    """A pytest run of one test that makes an attempt, swallows the refusal, and passes."""
    (tmp_path / "test_nested.py").write_text(
        "def test_innocent():\n    try:\n"
        + textwrap.indent(attempt.strip(), " " * 8)
        + "\n    except OSError:\n        pass\n"
    )
    (tmp_path / "conftest.py").write_text(
        f'import sys\nsys.path.insert(0, {str(RUN.parent)!r})\npytest_plugins = ["network_watch"]\n'
    )
    return python(*launcher, "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_an_attempt_of_a_child_process_is_refused_and_written_down(
    attempt: str, python: Python, log: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property(PLANTED, attempt)
    result = python("-c", ATTEMPTS[attempt])
    assert result.returncode != 0
    assert "NetworkRefused" in result.stderr
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == 1
    assert lines[0]["host"] in (FAR, "2001:db8::1", "tailorbird.invalid")
    assert "test_an_attempt_of_a_child_process" in lines[0]["test"]
    assert any(caller.startswith("<string>:1") for caller in lines[0]["callers"])


def test_what_is_planted_stays_out_of_the_account_of_the_run(python: Python) -> None:
    account = Path(os.environ[LOG])
    before = account.read_text()
    python("-c", ATTEMPTS["connect"])
    new = account.read_text()[len(before) :]
    assert "test_what_is_planted" not in new


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_may_be_reached(host: str, python: Python, log: Path) -> None:
    family = "AF_INET6" if ":" in host else "AF_INET"
    listening = f"s = socket.socket(socket.{family}); s.bind(({host!r}, 0)); s.listen()"
    result = python("-c", f"import socket; {listening}; socket.create_connection(({host!r}, s.getsockname()[1]))")
    assert result.returncode == 0, result.stderr
    assert not log.exists()


def test_a_unix_socket_may_be_used(python: Python, log: Path) -> None:
    code = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen(); "
    result = python("-c", code + "socket.socket(socket.AF_UNIX).connect('s')")
    assert result.returncode == 0, result.stderr
    assert not log.exists()


def test_a_name_that_only_looks_like_loopback_is_refused(python: Python) -> None:
    result = python("-c", "import socket; socket.getaddrinfo('127.0.0.1.tailorbird.invalid', 80)")
    assert "NetworkRefused" in result.stderr


def test_the_process_of_the_tests_has_the_guard_itself() -> None:
    assert "offline_guard" in sys.modules
    assert sys.modules["offline_guard"]._installed


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "with workers"])
def test_a_swallowed_attempt_fails_the_run(
    workers: list[str], tmp_path: Path, python: Python, record_property: Callable[[str, object], None]
) -> None:
    record_property(PLANTED, "swallowed")
    attempt = f"import socket; socket.socket().connect(('{FAR}', 80))"
    result = _nested(tmp_path, python, attempt, "-m", "pytest", *workers)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "network attempts: 1 (" in result.stdout
    assert f"test_innocent (call): socket.connect '{FAR}'" in result.stdout
    assert "1 passed, 1 error" in result.stdout.splitlines()[-1]


def test_a_run_without_attempts_passes(tmp_path: Path, python: Python) -> None:
    result = _nested(tmp_path, python, "assert True", "-m", "pytest")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "network attempts: 0 (planted: 0, caught: 0; namespace: no)" in result.stdout


@needs_namespace
def test_an_attempt_of_native_code_fails_the_run(
    tmp_path: Path, python: Python, record_property: Callable[[str, object], None]
) -> None:
    record_property(PLANTED, "native")
    result = _nested(tmp_path, python, NATIVE, RUN, "--", "pytest")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "native code asked 1 times" in result.stdout
    assert "namespace: yes" in result.stdout


@needs_namespace
def test_loopback_works_inside_the_namespace(tmp_path: Path, python: Python) -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    result = _nested(tmp_path, python, code, RUN, "--", "pytest")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "network attempts: 0 (planted: 0, caught: 0; namespace: yes)" in result.stdout
