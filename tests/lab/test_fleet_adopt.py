"""Off a real fleet: its units, which the kit did not make, adopted, planned and deployed under systemd.

Runs where COREOS_KIT_FLEET_BIN names a folder with fleetd and fleetctl, in two labs of its own.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from coreos_kit.adapters.nspawn.state import read_lab
from tests.lab.conftest import Kit

FLEET = os.environ.get("COREOS_KIT_FLEET_BIN", "")
OLD, NEW = "adopt-old", "adopt-new"

pytestmark = [
    pytest.mark.real_fleet,
    pytest.mark.skipif(not FLEET, reason="COREOS_KIT_FLEET_BIN names no folder with fleetd and fleetctl"),
]

FILES = {
    "worker@1.service": "[Unit]\nDescription=worker %i\n[Service]\nExecStart=/bin/sleep 10000\n"
    "[X-Fleet]\nConflicts=worker@*.service\n",
    "beside@1.service": "[Unit]\nBindsTo=worker@%i.service\nAfter=worker@%i.service\n"
    "[Service]\nExecStart=/bin/sleep 10000\n[X-Fleet]\nMachineOf=worker@%i.service\n",
    "asks.service": "[Service]\nEnvironmentFile=/etc/environment\n"
    "ExecStart=/bin/sh -c 'echo {{x}} {% y; while sleep 100; do fleetctl list-units; done'\n"
    "[X-Fleet]\nReplaces=nothing.service\n",
    "tick.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
}
FILES["worker@2.service"] = FILES["worker@1.service"]
FILES["beside@2.service"] = FILES["beside@1.service"]


def lab(*args: str) -> None:
    subprocess.run([sys.executable, "-m", "coreos_kit", "lab", *args], check=True)


@pytest.fixture(scope="module")
def labs() -> Iterator[None]:
    lab("up", "--name", OLD, "--machines", "3", "--profile", "coreos", "--fleet", FLEET)
    lab("up", "--name", NEW, "--machines", "2", "--profile", "debian")
    yield
    for name in (OLD, NEW):
        lab("down", "--name", name)


@pytest.fixture
def old(labs: None, tmp_path: Path) -> Kit:
    """A workspace from which the old cluster is reached, with units on it that somebody started by hand."""
    del labs
    kit = Kit(tmp_path / "old", OLD)
    kit("init", str(kit.workspace))
    kit.edit("coreos-kit.toml", 'lab = "default"', f'lab = "{OLD}"')
    kit.edit("coreos-kit.toml", 'profile = "debian"  ', 'profile = "coreos"  ')
    names = [name for name in sorted(FILES) if name != "tick.service"]
    write = "".join(f"printf %s {shlex.quote(text)} > {name}; " for name, text in FILES.items())
    kit.machine(
        "core-1", f"mkdir -p /tmp/units; cd /tmp/units; {write} fleetctl load --no-block {' '.join(names)}"
    )
    time.sleep(8)
    kit.machine(
        "core-1", f"fleetctl start --no-block {' '.join(names)}; cd /tmp/units; fleetctl submit tick.service"
    )
    for _ in range(60):
        active = kit.machine("core-1", "fleetctl list-units --no-legend --fields=active").split()
        if active == ["active"] * len(names):
            break
        time.sleep(1)
    assert active == ["active"] * len(names)
    return kit


@pytest.fixture
def stranger(old: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Somebody without a workspace, whose SSH configuration knows the old cluster's key and host keys."""
    folder = read_lab(OLD).folder
    (tmp_path / "ssh_config").write_text(
        f"Host {old.address_of('core-1')} {old.address_of('core-2')} {old.address_of('core-3')}\n"
        f"  IdentityFile {folder}/id_ed25519\n  UserKnownHostsFile {folder}/known_hosts\n"
    )
    bin_ = tmp_path / "bin"  # ssh reads the home of the password database, whatever HOME says
    bin_.mkdir()
    (bin_ / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/ssh_config "$@"\n')
    (bin_ / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    (tmp_path / "empty").mkdir()
    return Kit(tmp_path / "empty", OLD)


def test_units_of_a_fleet_are_adopted_over_ssh_planned_deployed_and_verified_under_systemd(
    old: Kit, stranger: Kit
) -> None:
    workspace = old.workspace.parent / "adopted"
    before = old.machine("core-1", "fleetctl list-unit-files --full --no-legend")
    addresses = [old.address_of(machine) for machine in ("core-1", "core-2", "core-3")]

    adopted = stranger(
        "adopt", str(workspace), "--ssh", f"core@{addresses[0]}", "--name", "old", "--json"
    ).json
    kit = Kit(workspace, NEW)
    seen = kit("machines", "--cluster", "old", "--json").json["machines"]
    file = workspace / "coreos-kit.toml"
    file.write_text(f'{file.read_text()}\n[clusters.new]\nlab = "{NEW}"\nprofile = "debian"\n')
    planned = kit("plan", "--cluster", "new", "--json").json
    kit("deploy", "--cluster", "new", "--yes")
    again = kit("deploy", "--cluster", "new", "--yes", "--json").json
    verdict = kit("verify", "--cluster", "new", "--json").json

    assert adopted["left_out"] == ["tick.service: it is only submitted, and was never to run"]
    assert (workspace / "instances/worker@2.service").readlink() == Path("../templates/worker@.service")
    assert "echo {{x}} {% y" in (workspace / "static/asks.service").read_text()
    recorded = json.loads((workspace / "adopted.json").read_text())["units"]
    assert {len(recorded[f"worker@{n}.service"]) for n in (1, 2)} == {1}
    notes = " ".join(planned["notes"])
    assert "asks.service: it calls fleetctl, which is not there" in notes
    assert "asks.service: Replaces= holds when units are placed" in notes
    assert "without fleet nothing moves by itself" in notes
    assert {change["verb"] for change in planned["changes"]} == {"create"}
    placed = planned["placements"]
    assert placed["worker@1.service"] == placed["beside@1.service"] != placed["worker@2.service"]
    assert again["changed"] is False
    assert verdict["ok"] is True
    assert len(verdict["chains"]) == 5
    assert {machine["name"]: machine["state"] for machine in seen} == dict.fromkeys(addresses, "ok")
    assert old.machine("core-1", "fleetctl list-unit-files --full --no-legend") == before


def test_adopting_changes_nothing_on_the_cluster_and_never_overwrites(old: Kit) -> None:
    before = old.machine("core-1", "fleetctl list-unit-files --full --no-legend")
    workspace = old.workspace.parent / "again"
    old("adopt", str(workspace))

    refused = old("adopt", str(workspace), code=3)

    assert "are there already" in refused.err
    assert old.machine("core-1", "fleetctl list-unit-files --full --no-legend") == before


def test_what_fleet_runs_and_the_kit_did_not_make_is_not_taken_over(old: Kit) -> None:
    workspace = old.workspace.parent / "taken"
    old("adopt", str(workspace), "--name", "old")

    refused = Kit(workspace, OLD)("deploy", "--cluster", "old", "--yes", code=3)

    assert "is not this project's, so nothing was touched" in refused.err
