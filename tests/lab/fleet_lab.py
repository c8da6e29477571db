"""The example under a real fleet, in a lab of its own, where COREOS_KIT_FLEET_BIN names a folder with it."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Kit

FLEET = os.environ.get("COREOS_KIT_FLEET_BIN", "")
LAB = "fleet-test"
MACHINES = ("core-1", "core-2", "core-3", "core-4")
LISTS = "fleetctl list-units --full --no-legend --fields=unit,active,sub"

NEEDS_FLEET = [
    pytest.mark.real_fleet,
    pytest.mark.skipif(not FLEET, reason="COREOS_KIT_FLEET_BIN names no folder with fleetd and fleetctl"),
    pytest.mark.timeout(1200),
]


def lab_command(*args: str) -> None:
    subprocess.run([sys.executable, "-m", "coreos_kit", "lab", *args, "--name", LAB], check=True)


@pytest.fixture(scope="module")
def fleet_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """A workspace of the example, everything deployed on four machines that fleet schedules."""
    lab_command("up", "--machines", "4", "--profile", "coreos", "--fleet", FLEET)
    workspace = tmp_path_factory.mktemp("fleet")
    kit = Kit(workspace, LAB)
    kit("init", str(workspace))
    kit.edit("coreos-kit.toml", 'lab = "default"', f'lab = "{LAB}"')
    kit.edit("coreos-kit.toml", 'profile = "debian"  ', 'profile = "coreos"  ')
    kit("render")
    kit("image", "build", "--on", "core-1", timeout_s=600)
    kit("image", "push", "--on", "core-1")
    kit("deploy", "--yes", timeout_s=600)
    yield kit
    if not os.environ.get("COREOS_KIT_KEEP_LAB"):
        lab_command("down")


@pytest.fixture(name="kit")
def kit_of_fleet_site(fleet_site: Kit) -> Iterator[Kit]:
    """The deployed example, whole again before and after each test."""
    files = [fleet_site.workspace / "coreos-kit.toml", *(fleet_site.workspace / "unit_templates").iterdir()]
    kept = {file: file.read_bytes() for file in files}
    yield fleet_site
    for file, content in kept.items():
        file.write_bytes(content)
    fleet_site("deploy", "--yes", timeout_s=600)


def fleetctl(kit: Kit, script: str, on: str = "core-2") -> tuple[int, str]:
    """Run a script with fleetctl by hand, as the SSH user; return its exit code and both outputs."""
    done = kit("ssh", on, "--", "bash", "-c", f"{script} 2>&1", code=None)
    return done.code, done.out


def states(kit: Kit) -> dict[str, str]:
    rows = (line.split() for line in fleetctl(kit, LISTS)[1].splitlines())
    return {row[0]: f"{row[1]} {row[2]}" for row in rows}


def hashes(kit: Kit) -> dict[str, str]:
    rows = fleetctl(kit, "fleetctl list-unit-files --full --no-legend --fields=unit,hash")[1].splitlines()
    return dict(row.split() for row in rows)
