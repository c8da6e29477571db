"""What all tests share: the list of what was skipped, and no lab test skipped where the lab can run."""

import os
import platform
import signal

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no bug.
settings.register_profile("kit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kit")
# Of `make fuzz`, round after round.
settings.register_profile(
    "fuzz", max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)

# Whoever starts the tests in the background has SIGINT ignored, and so would have every program of a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

OPTIONAL = ("real_confd", "real_fleet")  # these need a binary that nobody has to have


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("skipped, and why")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not can_lab():
        return
    missed = [
        report.nodeid
        for report in reporter.stats.get("skipped", [])
        if "tests/lab/" in report.nodeid and not any(marker in report.keywords for marker in OPTIONAL)
    ]
    if missed and session.exitstatus == pytest.ExitCode.OK:
        reporter.line(f"{len(missed)} lab tests were skipped, though root and Linux are there")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def can_lab() -> bool:
    return platform.system() == "Linux" and os.geteuid() == 0


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COREOS_KIT_CLUSTER", "GITHUB_ACTIONS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
