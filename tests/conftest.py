"""What every test gets: a folder of experiments of its own, and in CI no skipped test goes unnoticed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example fails for the time that it took: the machine may be slow.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

#: A skip whose reason begins so is fine everywhere, also where all real components are required.
OPTIONAL = "optional: "

_skipped: list[str] = []


@pytest.fixture(autouse=True, scope="session")
def _signals_heeded() -> None:
    """A suite in the background of a script (or under nohup) ignores signals, and so would all that it starts."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _own_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the experiments, the variables or the threads of the user who runs it."""
    for name in [
        name for name in os.environ if name.startswith("HPO_") and name not in ("HPO_DATA", "HPO_REQUIRE_REAL")
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HPO_EXPERIMENTS", str(tmp_path / "experiments"))
    monkeypatch.setenv("HPO_EXECUTOR", "local")  # also where there is a Slurm


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(OPTIONAL):
            _skipped.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("HPO_REQUIRE_REAL") and _skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("HPO_REQUIRE_REAL") and _skipped:
        terminalreporter.section("skipped, but required here (HPO_REQUIRE_REAL)")
        for line in _skipped:
            terminalreporter.line(line)
