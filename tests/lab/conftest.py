"""One lab for all lab tests, with the example deployed on it; each test leaves it green."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LAB = os.environ.get("COREOS_KIT_TEST_LAB", "test")  # another, where two work at once
MACHINES = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker("lab")
        if os.geteuid() != 0 or sys.platform != "linux":
            item.add_marker(pytest.mark.skip(reason="the lab needs root on Linux"))
        values = getattr(item, "callspec", None)
        if values and {"row", "stage"} <= values.params.keys():
            item.user_properties.append(("struck", (str(values.params["row"]), str(values.params["stage"]))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show how each fault went at each stage, as a table."""
    cells: dict[tuple[str, str], str] = {}
    for report in [
        report for word in ("passed", "failed", "error") for report in terminalreporter.stats.get(word, [])
    ]:
        if struck := dict(report.user_properties).get("struck"):
            seconds = f"ok {report.duration:.0f} s" if report.passed else "FAILED"
            cells[struck] = seconds
    if not cells:
        return
    stages = list(dict.fromkeys(stage for _, stage in cells))
    terminalreporter.section("faults, and the stage that they struck")
    terminalreporter.line("".join(word.ljust(12) for word in ["".ljust(30), *stages]).rstrip())
    for row in dict.fromkeys(row for row, _ in cells):
        shown = [cells.get((row, stage), "-") for stage in stages]
        terminalreporter.line("".join(word.ljust(12) for word in [row.ljust(30), *shown]).rstrip())


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Kit:
    """`coreos-kit` as a user calls it, in its own workspace; `machine` runs plain tools behind its back."""

    workspace: Path
    lab: str = LAB

    def __call__(self, *args: str, code: int | None = 0, timeout_s: float = 300) -> Ran:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "coreos_kit", "--project", str(self.workspace), *args],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - started)
        if code is not None:
            assert ran.code == code, (
                f"coreos-kit {' '.join(args)} ended with {ran.code}\n{ran.out}\n{ran.err}"
            )
        return ran

    def machine(self, name: str, script: str, *, code: int | None = 0) -> str:
        """Run a script as root on a machine of the lab, and return what it printed."""
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "coreos_kit",
                "lab",
                "ssh",
                "--name",
                self.lab,
                name,
                "--",
                "sudo",
                "bash",
                "-c",
                script,
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        if code is not None:
            assert done.returncode == code, f"{name}: {script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def machine_of(self, unit: str) -> str:
        units = self("status", "--json", code=None).json["units"]
        return next(entry["machine"] for entry in units if entry["unit"] == unit)

    def address_of(self, machine: str, side: str = "private_ip") -> str:
        machines = self("machines", "--json", code=None).json["machines"]
        return next(entry[side] for entry in machines if entry["name"] == machine)

    def links(self) -> dict[str, str]:
        """Return every link's state: `apache@7777.service ttl` -> ok."""
        verdict = self("verify", "--json", code=None).json
        return {
            f"{chain['unit']} {link['link']}": link["state"]
            for chain in verdict["chains"]
            for link in chain["links"]
        }

    def edit(self, path: str, before: str, after: str) -> None:
        file = self.workspace / path
        text = file.read_text()
        assert before in text, f"{path} has no {before!r}"
        file.write_text(text.replace(before, after))


@pytest.fixture(scope="session")
def lab() -> Iterator[str]:
    """A lab of four machines, booted once and taken away at the end (COREOS_KIT_KEEP_LAB keeps it)."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "coreos_kit",
            "lab",
            "up",
            "--name",
            LAB,
            "--machines",
            str(MACHINES),
            "--profile",
            "debian",
        ],
        check=True,
    )
    yield LAB
    if not os.environ.get("COREOS_KIT_KEEP_LAB"):
        subprocess.run([sys.executable, "-m", "coreos_kit", "lab", "down", "--name", LAB], check=True)


@pytest.fixture(scope="session")
def site(lab: str, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A workspace of the example with its images pushed and everything deployed."""
    workspace = tmp_path_factory.mktemp("workspace")
    kit = Kit(workspace)
    kit("init", str(workspace))
    kit.edit("coreos-kit.toml", 'lab = "default"', f'lab = "{lab}"')
    kit("image", "build", "--on", "core-1", timeout_s=600)
    kit("image", "push", "--on", "core-1")
    kit("deploy", "--yes")
    return kit


@pytest.fixture
def kit(site: Kit) -> Iterator[Kit]:
    """The deployed example, whole again before and after each test."""
    kept = {name: (site.workspace / name).read_bytes() for name in _sources(site.workspace)}
    heal(site)
    yield site
    changed = [name for name, content in kept.items() if (site.workspace / name).read_bytes() != content]
    for name in changed:
        (site.workspace / name).write_bytes(kept[name])
    if changed:  # what the test deployed may still stand; the next one starts from the example
        site("deploy", "--yes", code=None)


def heal(site: Kit) -> None:
    """Bring the example back to green: sidekicks and balancer mend much by themselves, deploy the rest."""
    if site("verify", code=None).code != 0:
        site("deploy", "--yes", code=None)
        site("verify", "--wait", "40")


def _sources(workspace: Path) -> list[str]:
    return [
        "coreos-kit.toml",
        *(str(file.relative_to(workspace)) for file in sorted((workspace / "unit_templates").iterdir())),
    ]
