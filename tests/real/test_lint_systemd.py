"""What lint knows of settings against systemd itself: its own list, and what `verify` says of values."""

import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest

from coreos_kit.units.lint import lint_units
from coreos_kit.units.lint.known_settings import SETTINGS

SYSTEMD = Path("/lib/systemd/systemd")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not SYSTEMD.exists(), reason=f"there is no {SYSTEMD}"),
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"),
]

# Of which values are made, right and wrong. Together they are no time too long for systemd.
_PIECES = (
    "0 1 5 9 08 15 31 65 0x 0X . + - infinity always on-abort no yes Y maybe journal kmsg fd socket "
    'tty file: append: truncate: / a " : SIG TERM HUP RTMIN RTMAX us µs ms s S sec secs m M min minutes h hr '
    "d days w week month y years control-group mixed process main all exec simple oneshot none reboot #"
)
PIECES = [*_PIECES.split(), " ", "\t"]


@pytest.fixture(scope="module")
def known() -> set[tuple[str, str]]:
    """Give the section and the name of every setting that this machine's systemd takes."""
    listed = subprocess.run(
        [SYSTEMD, "--dump-configuration-items"], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    names, section = set(), ""
    for line in listed.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line:
            names.add((section, line.partition("=")[0]))
    assert len(names) > 1000
    return names


def unit(section: str, lines: Sequence[str]) -> str:
    """Return a unit whose fourth line is the first of the lines."""
    return "\n".join(["[Service]", "ExecStart=/bin/true", f"[{section}]", *lines, ""])


def found_by_systemd(folder: Path, section: str, lines: Sequence[str]) -> set[str]:
    """Return those of the lines that systemd has something to say about."""
    (folder / "f.service").write_text(unit(section, lines))
    verify = ["systemd-analyze", "verify", "--man=no", "--generators=no", "./f.service"]
    said = subprocess.run(verify, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stderr
    return {lines[int(number) - 4] for number in re.findall(r"f\.service:(\d+): ", said)}


def found_by_lint(section: str, lines: Sequence[str], rule: str) -> set[str]:
    """Return those of the lines that systemd ignores, as lint says by this rule."""
    findings = lint_units({"f.service": unit(section, lines)})
    return {lines[finding.line - 4] for finding in findings if finding.rule == rule}


def some_values() -> Iterator[str]:
    """Yield every pair of pieces, and some longer ones, always the same."""
    dice = random.Random(1)
    yield from PIECES
    yield from map("".join, product(PIECES, repeat=2))
    for _ in range(4000):
        yield "".join(dice.choices(PIECES, k=dice.randint(3, 5)))


def test_the_table_has_every_setting_of_this_systemd(known: set[tuple[str, str]]) -> None:
    assert {(section, name) for section, name in known if name not in SETTINGS.get(section, {})} == set()


@pytest.mark.parametrize("section", ["Unit", "Service", "Install"])
def test_what_lint_does_not_know_systemd_does_not_know(
    section: str, known: set[tuple[str, str]], tmp_path: Path
) -> None:
    wrong = ["ExecStartt", "execstart", "Enviroment"]
    names = {name for _, name in known} | {*wrong, "X-Mine"}
    lines = [f"{name}=" for name in sorted(names) if (section, name) not in known]

    unknown = found_by_lint(section, lines, "setting")

    assert {f"{name}=" for name in wrong} <= unknown
    assert unknown - found_by_systemd(tmp_path, section, lines) == set()


@pytest.mark.parametrize("section", ["Unit", "Service"])
def test_every_setting_that_has_a_kind_is_read_so(
    section: str, known: set[tuple[str, str]], tmp_path: Path
) -> None:
    names = {name for name, kind in SETTINGS[section].items() if kind and (section, name) in known}
    names -= {"DynamicUser"}  # after a wrong one nothing is read
    lines = [
        f"{name}={value}"
        for name in sorted(names)
        for value in ("nonsense", "5", "-1", "yes", "5min 1", "SIGTERM")
    ]

    ignored = found_by_lint(section, lines, "setting-value")

    assert {f"{name}=nonsense" for name in names} <= ignored
    assert ignored - found_by_systemd(tmp_path, section, lines) == set()


def test_a_value_that_costs_the_unit_costs_it(tmp_path: Path) -> None:
    lines = ["DynamicUser=maybe", "RemainAfterExit=maybe"]

    assert found_by_systemd(tmp_path, "Service", lines) == {"DynamicUser=maybe"}
    assert found_by_systemd(tmp_path, "Service", lines[1:]) == {"RemainAfterExit=maybe"}


@pytest.mark.parametrize(
    "name", ["RemainAfterExit", "TimeoutStopSec", "RestartSec", "KillSignal", "StartLimitBurst"]
)
def test_the_values_that_lint_refuses_are_those_that_systemd_ignores(name: str, tmp_path: Path) -> None:
    lines = sorted({f"{name}={value.strip()}" for value in some_values() if value.strip()})

    assert found_by_lint("Service", lines, "setting-value") == found_by_systemd(tmp_path, "Service", lines)


@pytest.mark.parametrize(
    "name", ["Type", "Restart", "KillMode", "NotifyAccess", "StandardInput", "StandardOutput"]
)
def test_words_that_lint_refuses_are_ignored_by_systemd(name: str, tmp_path: Path) -> None:
    lines = sorted({f"{name}={value.strip()}" for value in some_values() if value.strip()})

    ignored = found_by_lint("Service", lines, "setting-value")

    assert ignored
    assert ignored - found_by_systemd(tmp_path, "Service", lines) == set()
