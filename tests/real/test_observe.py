"""The script that takes a machine's snapshot, run here, beside an engine of a few lines."""

from dataclasses import replace
from pathlib import Path

import pytest

from coreos_kit.adapters import systemd
from coreos_kit.adapters.local import LocalRunner
from coreos_kit.adapters.scripts import script
from coreos_kit.adapters.systemd import SystemdDriver
from coreos_kit.model.cluster import ObservedContainer, ObservedMachine
from coreos_kit.model.profile import PROFILES
from coreos_kit.model.project import Cluster, DriverKind, MachineEntry

pytestmark = pytest.mark.real

ID = "f00d" * 16
OURS = ObservedContainer("web.7777", ID, "running", "image", "", "web", "web@7777.service")


def observed(tmp_path: Path, inspect: str) -> ObservedMachine:
    """Take a snapshot of this machine where the engine lists one container; `inspect` is how it answers."""
    engine = tmp_path / "engine"
    listed = f"printf 'web.7777\\t{ID}\\tUp 3 minutes\\timage\\t\\n'"
    engine.write_text(f"#!/bin/bash\ncase $1 in\nps) {listed} ;;\ninspect) {inspect} ;;\nesac\n")
    engine.chmod(0o755)
    profile = replace(PROFILES["debian"], engine_path=str(engine))
    cluster = Cluster("lab", profile, DriverKind.SYSTEMD, (MachineEntry("core-1", "core-1"),), (), ())
    return SystemdDriver(cluster, {"core-1": LocalRunner()}).observe([]).machines["core-1"]


@pytest.mark.parametrize("ended", ["", "echo 'Error: No such object: beef' >&2; exit 1"])
def test_whose_a_container_is_is_said_though_another_has_gone_meanwhile(tmp_path: Path, ended: str) -> None:
    seen = observed(tmp_path, f"""echo '{ID} "web" "web@7777.service"'; {ended}""")

    assert (seen.containers, seen.engine_error) == ((OURS,), "")


@pytest.mark.parametrize(
    ("inspect", "said"),
    [
        ("exit 124", "whose containers these are is not known: no answer within 10 s"),
        (
            "echo 'Cannot connect to the daemon' >&2; exit 1",
            "whose containers these are is not known: Cannot connect to the daemon",
        ),
    ],
)
def test_where_nobody_says_whose_a_container_is_that_is_an_error_and_not_somebody_elses(
    tmp_path: Path, inspect: str, said: str
) -> None:
    assert observed(tmp_path, inspect).engine_error == said


def test_a_template_that_somebody_put_beside_the_units_hides_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("web@.service", "web@7777.service", "web@7777.service.bak"):
        (tmp_path / name).write_text("[X-CoreosKit]\nProject=web\nService=web\n")
    # systemctl knows no unit without an instance name, says so, and goes no further.
    prelude = (
        f"cd() {{ builtin cd {tmp_path}; }}\n"
        "systemctl() {\n"
        '  while [ "$1" != -- ]; do [ $# -gt 0 ] || return 0; shift; done; shift\n'
        "  for name; do\n"
        '    case $name in *@.*) echo "Unit name $name is missing the instance name." >&2; return 1 ;; esac\n'
        '    printf "Id=%s\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\n\\n" "$name"\n'
        "  done\n"
        "}\n"
    )
    monkeypatch.setattr(systemd, "script", lambda name: prelude + script(name))

    seen = observed(tmp_path, "exit 0")

    assert [(str(unit.name), unit.project, unit.is_active) for unit in seen.units] == [
        ("web@7777.service", "web", True)
    ]
