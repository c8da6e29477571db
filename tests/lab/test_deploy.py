"""Deploying the example on real machines."""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab.conftest import Kit
from tests.lab.faults import Stage, deploying, wait_for

UNIT = "apache@7777.service"


@dataclass(frozen=True)
class Held:
    """A change of a unit's machine that somebody else is at for 15 s: it holds the lock of one."""

    kit: Kit
    machine: str
    pid_before: str

    def pid(self) -> str:
        return self.kit.machine(self.machine, f"systemctl show --property=MainPID --value {UNIT}")

    def pid_at_its_end(self) -> str:
        wait_for(lambda: self.kit.machine(self.machine, "cat /run/at-its-end", code=None), within_s=30)
        return self.kit.machine(self.machine, "cat /run/at-its-end")


@pytest.fixture
def another_change(kit: Kit) -> Iterator[Held]:
    machine = kit.machine_of(UNIT)
    pid = f"systemctl show --property=MainPID --value {UNIT}"
    before = kit.machine(machine, pid)
    held = f"sleep 15; {pid} > /run/being-written; mv /run/being-written /run/at-its-end"
    kit.machine(
        machine,
        f"systemd-run --quiet --collect --unit=another-change flock /etc/systemd/system sh -c '{held}';"
        " while flock --nonblock /etc/systemd/system true; do sleep 0.1; done",
    )
    yield Held(kit, machine, before)
    kit.machine(machine, "rm -f /run/at-its-end")


def fetch(address: str) -> str:
    done = subprocess.run(
        ["curl", "-fsS", "--noproxy", "*", "-m", "5", f"http://{address}/"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_page_comes_through_the_balancer_from_both_backends(kit: Kit) -> None:
    address = kit.address_of(kit.machine_of("nginx_lb.service"), "public_ip")

    pages = {fetch(address) for _ in range(6)}

    assert pages == {"<h1>Running from Docker on CoreOS</h1>\n"}
    log = kit("logs", "nginx_lb", "-n", "6").out
    assert len(set(re.findall(r"passed to: ([0-9.]+:[0-9]+):", log))) == 2


def test_deploying_again_changes_nothing_and_says_so(kit: Kit) -> None:
    again = kit("deploy", "--yes", "--json").json

    assert again["changed"] is False
    assert again["changes"] == []
    assert "nothing to do" in kit("deploy").out


def test_an_edited_template_is_shown_by_plan_applied_by_deploy_and_holds(kit: Kit) -> None:
    template = "unit_templates/service@.service.j2"
    kit.edit(template, "[Service]", "[Service]\nEnvironment=EDITED=yes")

    planned = kit("plan", "--exit-code", code=1).out
    kit("deploy", "--yes")

    assert "replace apache@7777.service" in planned
    assert "+Environment=EDITED=yes" in planned
    assert "EDITED=yes" in kit.machine(
        kit.machine_of("apache@7777.service"), "systemctl show -p Environment apache@7777.service"
    )
    kit("verify")
    kit.edit(template, "\nEnvironment=EDITED=yes", "")
    kit("deploy", "--yes")


def test_a_third_instance_is_added_without_touching_the_others_and_removed_again(kit: Kit) -> None:
    before = kit("status", "--json").json["units"]
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9999]")

    added = kit("deploy", "--yes", "--json").json
    during = kit("status", "--json").json["units"]
    kit.edit("coreos-kit.toml", "instances = [7777, 8888, 9999]", "instances = [7777, 8888]")
    removed = kit("deploy", "--yes", "--json").json

    assert [change["verb"] for change in added["changes"]] == ["create", "create"]
    assert [unit for unit in during if "9999" not in unit["unit"]] == before
    assert [change["verb"] for change in removed["changes"]] == ["remove", "remove"]
    assert "9999" not in str(kit("registrations", "--json").json)


def test_a_failed_unit_is_started_by_the_next_deploy(kit: Kit) -> None:
    machine = kit.machine_of("apache@8888.service")
    kit.machine(machine, "systemctl stop apache@8888.service")

    result = kit("deploy", "--yes", "--json").json

    assert {change["verb"] for change in result["changes"]} == {"restart"}
    kit("verify")


def test_what_no_machine_can_take_is_refused_before_anything_is_touched(kit: Kit) -> None:
    before = kit("status", "--json").json["units"]
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9991, 9992]")

    refused = kit("deploy", "--yes", code=3)

    assert "conflicts with" in refused.err
    assert kit("status", "--json").json["units"] == before


def test_what_a_power_cut_left_beside_the_units_goes_with_the_next_change(kit: Kit) -> None:
    machine, left = kit.machine_of("apache@7777.service"), "/etc/systemd/system/.coreos-kit.left"
    kit.machine(machine, f"mkdir -p {left}/units; touch {left}/units/apache@7777.service")
    kit.edit("unit_templates/service@.service.j2", "[Service]", "[Service]\nEnvironment=EDITED=yes")

    kit("deploy", "--yes")

    assert kit.machine(machine, "find /etc/systemd/system -name '.coreos-kit*'") == ""


def test_a_change_waits_for_one_that_is_still_going_on_at_its_machine(kit: Kit, another_change: Held) -> None:
    kit.edit("unit_templates/service@.service.j2", "[Service]", "[Service]\nEnvironment=EDITED=yes")

    kit("deploy", "--yes")

    assert another_change.pid_at_its_end() == another_change.pid_before != another_change.pid()


def test_a_change_that_nobody_waits_for_any_more_is_not_made(kit: Kit, another_change: Held) -> None:
    kit.edit("unit_templates/service@.service.j2", "[Service]", "[Service]\nEnvironment=EDITED=yes")

    with deploying(kit) as deploy:
        deploy.reaches(Stage("changing", rf"^{another_change.machine}: replace {UNIT}", after_s=1))
        deploy.process.terminate()
        ended = deploy.ends(within_s=10)

    assert ended.code == 130
    assert another_change.pid_at_its_end() == another_change.pid_before
    time.sleep(2)  # in which it would be made
    assert another_change.pid() == another_change.pid_before
    assert "EDITED" not in kit.machine(another_change.machine, f"cat /etc/systemd/system/{UNIT}")
