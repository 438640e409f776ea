"""A pytest plug-in: brings the guard into every process of the run, counts attempts, and fails the run for one.

A test that makes an attempt on purpose sends it to a log of its own, and says so with
`record_property(PLANTED, ...)`; so what is planted cannot hide what is not.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import namespace
import pytest

GUARD = Path(__file__).parent / "guard"
PLANTED = "planted_attempt"

sys.path.insert(0, str(GUARD))
import offline_guard  # noqa: E402 (only now can it be found)

offline_guard.install()


def pytest_configure(config: pytest.Config) -> None:
    """Every process started from here on has the guard; the main process of the run also watches."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(GUARD)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *paths])
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Watch())


class Watch:
    """The account of one run, kept by the process that reports it."""

    def __init__(self) -> None:
        number, log = tempfile.mkstemp(prefix="tailorbird-network-", suffix=".jsonl")
        os.close(number)
        os.environ[offline_guard.LOG] = log
        self.log = Path(log)
        self.in_namespace = os.environ.get("TAILORBIRD_NAMESPACE") == "1"
        self.before = namespace.unroutable() if self.in_namespace else 0
        self.planted = self.caught = 0
        self.attempts = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what tests planted. Reports of parallel workers arrive here too."""
        if report.when == "call" and any(name == PLANTED for name, _ in report.user_properties):
            self.planted += 1
            self.caught += report.passed

    @pytest.hookimpl(wrapper=True, trylast=True)  # innermost: after the workers ended, before the summary is written
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """An attempt is an error of the run, in its exit status and in its closing line."""
        result = yield
        found = [_sentence(json.loads(line)) for line in self.log.read_text().splitlines()]
        native = namespace.unroutable() - self.before if self.in_namespace else 0
        if native:
            found.append(f"native code asked {native} times for a route out of the namespace")
        self.attempts = len(found) - bool(native) + native
        if found:
            session.config.hook.pytest_runtest_logreport(report=_error("\n".join(found)))
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.log.unlink()
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The account, in one line."""
        kind = "yes" if self.in_namespace else "no"
        counts = f"planted: {self.planted}, caught: {self.caught}; namespace: {kind}"
        terminalreporter.write_line(f"network attempts: {self.attempts} ({counts})")


def _error(account: str) -> pytest.TestReport:
    place = ("tests/offline/network_watch.py", None, "network")
    return pytest.TestReport("network attempts", place, {}, "failed", account, "teardown")


def _sentence(attempt: dict[str, Any]) -> str:  # Any: what offline_guard wrote as JSON
    where = "".join(f"\n    {line}" for line in attempt["callers"])
    return f"process {attempt['pid']} in {attempt['test']}: {attempt['event']} {attempt['host']!r}{where}"
