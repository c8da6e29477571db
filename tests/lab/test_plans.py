"""Plans that are kept, hooks, scaling and what is said of a machine's loss, on real machines."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import Kit

TEMPLATE = "unit_templates/service@.service.j2"


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


@pytest.fixture
def hooks(kit: Kit) -> Iterator[Path]:
    """A folder for hooks, gone again afterwards."""
    folder = kit.workspace / "hooks"
    folder.mkdir()
    yield folder
    for hook in folder.iterdir():
        hook.unlink()
    folder.rmdir()


def write(hook: Path, script: str) -> None:
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)


def test_a_kept_plan_is_done_as_it_is_and_once(kit: Kit, plan_file: Path) -> None:
    kit.edit(TEMPLATE, "[Service]", "[Service]\nEnvironment=KEPT=yes")
    kit("plan", "--out", str(plan_file))

    done = kit("deploy", "--plan", str(plan_file), "--yes", "--json").json
    again = kit("deploy", "--plan", str(plan_file), "--yes", code=3)

    assert sorted(change["unit"] for change in done["changes"]) == [
        "apache@7777.service",
        "apache@8888.service",
    ]
    assert "no longer fits; nothing was touched" in again.err
    assert re.search(r"apache@7777\.service (has another text|is new)", again.err)  # new: fleet moved it


def test_a_kept_plan_is_refused_where_somebody_stopped_a_unit_meanwhile(kit: Kit, plan_file: Path) -> None:
    kit.edit(TEMPLATE, "[Service]", "[Service]\nEnvironment=KEPT=no")
    kit("plan", "--out", str(plan_file))
    machine = kit.machine_of("apache@8888.service")
    kit.machine(machine, "systemctl stop apache@8888.service")

    refused = kit("deploy", "--plan", str(plan_file), "--yes", code=3)

    assert f"{machine}: apache@8888.service was active, and is not active" in refused.err
    assert "KEPT=no" not in kit.machine(machine, "systemctl cat apache@8888.service")


def test_scaling_up_and_down_again_leaves_the_others_alone(kit: Kit) -> None:
    before = kit("status", "--json").json["units"]
    kit("scale", "apache", "3")

    kit("deploy", "--yes")
    during = kit("status", "--json").json["units"]
    kit("scale", "apache", "2")
    kit("deploy", "--yes")

    assert [unit for unit in during if "8889" not in unit["unit"]] == before
    assert len(during) == len(before) + 2
    assert kit("status", "--json").json["units"] == before
    kit("verify")


def test_a_lost_machines_units_go_where_the_plan_said(kit: Kit) -> None:
    machine = kit.machine_of("apache@7777.service")
    losses = {loss["machine"]: loss for loss in kit("plan", "--json").json["losses"]}

    made = kit("plan", "--evacuate", machine, "--json").json

    assert losses[machine]["moves"]
    assert {unit: [to] for unit, to in losses[machine]["moves"].items()} == {
        unit: machines for unit, machines in made["placements"].items() if unit in losses[machine]["moves"]
    }


def test_hooks_hear_of_each_instance_and_a_failing_one_stops_before_anything_is_touched(
    kit: Kit, hooks: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    write(hooks / "pre-instance", f'echo "$COREOS_KIT_UNIT $COREOS_KIT_PRIVATE_IP" >> {said}')
    write(hooks / "pre-deploy", "exit 1")
    kit.edit(TEMPLATE, "[Service]", "[Service]\nEnvironment=HOOKED=yes")
    before = kit("status", "--json").json["units"]

    refused = kit("deploy", "--yes", code=3)
    stood = kit("status", "--json").json["units"]
    write(hooks / "pre-deploy", "exit 0")
    kit("deploy", "--yes")

    assert "the hook pre-deploy failed with exit code 1, so nothing was touched" in refused.err
    assert stood == before
    units = ("apache@7777.service", "apache@8888.service")
    assert sorted(said.read_text().splitlines()) == [
        f"{unit} {kit.address_of(kit.machine_of(unit))}" for unit in units
    ]
