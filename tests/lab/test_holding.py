"""Holding still on real machines: a drain, a hold that outlives a boot; and several balancers."""

import re

from tests.lab.conftest import LAB, Kit

APACHE = "apache@7777.service"
CONFLICTS = 'conflicts = ["nginx.service", "apache@*.service"]'
SEVERAL = (
    'instances = ["east", "west"]\nconflicts = ["nginx_lb@*.service", "nginx.service", "apache@*.service"]'
)


def test_a_drained_machine_loses_its_instance_and_gets_nothing_until_it_is_uncordoned(kit: Kit) -> None:
    machine = kit.machine_of(APACHE)

    drained = kit("drain", machine, "--yes", "--why", "new disk").out
    where = kit.machine_of(APACHE)
    shown = kit("machines").out
    again = kit("deploy", "--yes", "--json").json
    kit("uncordon", machine)

    assert f"drained: 2 units moved off {machine}, which is cordoned\n" in drained
    assert where != machine
    assert re.search(rf"^{machine} .* cordoned ", shown, re.MULTILINE)
    assert re.search(
        rf"^{machine} is cordoned by .*: new disk; nothing new is placed there$", shown, re.MULTILINE
    )
    assert again["changed"] is False
    assert "apache" not in kit.machine(machine, "ls /etc/systemd/system")
    kit("verify", "--wait", "20")


def test_what_no_other_machine_can_take_stays_and_serves_on(kit: Kit) -> None:
    balancer = kit.machine_of("nginx_lb.service")
    used = {unit["machine"] for unit in kit("status", "--json").json["units"]}
    spare = next(name for name in ("core-1", "core-2", "core-3", "core-4") if name not in used)
    kit("cordon", spare)

    out = kit("drain", balancer, "--yes", code=1).out
    kit("uncordon", spare)
    kit("uncordon", balancer)

    assert f"= nginx_lb.service stays on {balancer}: no other machine can take it\n" in out
    assert f"    {spare}: it is cordoned\n" in out
    assert kit.machine_of("nginx_lb.service") == balancer
    kit("verify")


def test_a_held_unit_stays_down_through_a_deploy_and_a_boot(kit: Kit) -> None:
    machine = kit.machine_of(APACHE)

    kit("stop", "--hold", "apache@7777", "--why", "odd")
    deployed = kit("deploy", "--yes", "--json").json
    kit("lab", "kill", machine, "--name", LAB)
    kit("lab", "revive", machine, "--name", LAB)
    kit.machine(machine, "systemctl is-system-running --wait", code=None)
    after_the_boot = kit.machine(machine, f"systemctl is-active {APACHE}", code=None).strip()
    verified = kit("verify", "--wait", "30").out
    kit("start", "apache@7777")

    assert deployed["changed"] is False
    assert after_the_boot == "inactive"
    assert re.search(rf"^apache@7777.service +{machine} +held$", verified, re.MULTILINE)
    assert verified.endswith("; 1 unit held\n")
    kit("verify", "--wait", "30")
    assert kit.machine(machine, f"ls -l /etc/systemd/system/multi-user.target.wants/{APACHE}")


def test_two_balancers_both_serve_and_each_is_proven(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", CONFLICTS, SEVERAL)

    kit("deploy", "--yes")
    links = kit.links()
    pools = kit("status", "--json").json["pools"]
    kit.edit("unit_templates/load_balancer.service.j2", "[Service]", "[Service]\nEnvironment=EDITED=yes")
    changed = kit("deploy", "--yes", "--json").json
    kit.edit("unit_templates/load_balancer.service.j2", "\nEnvironment=EDITED=yes", "")
    kit.edit("coreos-kit.toml", SEVERAL, CONFLICTS)
    kit("deploy", "--yes")

    assert set(links.values()) == {"ok"}
    assert {"nginx_lb@east.service unit", "nginx_lb@west.service unit"} <= links.keys()
    assert [pool["unit"] for pool in pools] == ["nginx_lb@east.service", "nginx_lb@west.service"]
    assert {len(pool["servers"]) for pool in pools} == {2}
    assert [change["verb"] for change in changed["changes"]] == ["replace", "replace"]
    kit("verify", "--wait", "20")
