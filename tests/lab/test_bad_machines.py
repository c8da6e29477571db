"""Machines that are there and don't do what they are asked: no root without a password, a full disk."""

import time

import pytest

from tests.lab.conftest import Kit
from tests.lab.faults import full_disk

UNIT = "apache@7777.service"
TEMPLATE = "unit_templates/service@.service.j2"


def unit_text(kit: Kit, machine: str, unit: str) -> str:
    return kit.machine(machine, f"cat /etc/systemd/system/{unit}")


@pytest.fixture
def others(kit: Kit) -> dict[str, str]:
    """Say where the other units stand."""
    units = kit("status", "--json").json["units"]
    return {entry["unit"]: entry["machine"] for entry in units if "7777" not in entry["unit"]}


def test_a_full_disk_on_one_machine_leaves_its_old_unit_and_the_other_machines_whole(
    kit: Kit, others: dict[str, str]
) -> None:
    machine = kit.machine_of(UNIT)
    before = unit_text(kit, machine, UNIT)
    started = kit.machine(machine, f"systemctl show -p ActiveEnterTimestampMonotonic {UNIT}")
    stood = {unit: unit_text(kit, where, unit) for unit, where in others.items()}
    kit.edit(TEMPLATE, "[Service]", "[Service]\nEnvironment=" + "EDITED=yes" * 100)

    with full_disk(kit, machine):
        failed = kit("deploy", "--yes", code=5)
        seen = unit_text(kit, machine, UNIT)
        left = kit.machine(machine, "ls -A /etc/systemd/system")
        restarted = kit.machine(machine, f"systemctl show -p ActiveEnterTimestampMonotonic {UNIT}")

    assert "No space left on device" in failed.err
    assert machine in failed.err
    assert seen == before
    assert restarted == started  # nothing was stopped for what could not be written
    assert ".coreos-kit" not in left
    assert {unit: unit_text(kit, where, unit) for unit, where in others.items()} == stood

    kit("deploy", "--yes")
    assert "EDITED=yes" in unit_text(kit, machine, UNIT)
    kit("verify", "--wait", "40")


def test_a_sudo_that_asks_for_a_password_is_named_with_what_ends_it(kit: Kit) -> None:
    machine = kit.machine_of(UNIT)
    kit.machine(  # who takes root away from himself has to see to it that it comes back
        machine,
        "set -e; systemd-run --quiet --on-active=30 --timer-property=AccuracySec=1s"
        " /bin/sh -c 'cp -a /run/sudoers.d/. /etc/sudoers.d/';"
        "cp -a /etc/sudoers.d /run/; rm -f /etc/sudoers.d/*",
    )
    try:
        planned = kit("plan", code=None)
    finally:
        deadline = time.monotonic() + 60
        while kit("machines", code=None).code != 0 and time.monotonic() < deadline:
            time.sleep(1)

    assert planned.code == 4
    assert f"{machine}: core can't become root on {machine}, sudo refuses: " in planned.err
    assert "There, as root: echo 'core ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/core" in planned.err
    kit("verify")
