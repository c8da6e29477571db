"""The guide's five units under a real fleet: each trap of fleetctl, and what the kit makes of it.

Runs where COREOS_KIT_FLEET_BIN names a folder with fleetd and fleetctl, in a lab of its own.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab.conftest import Kit
from tests.lab.fleet_lab import (
    LISTS,
    MACHINES,
    NEEDS_FLEET,
    fleet_site,  # noqa: F401 - a fixture
    fleetctl,
    hashes,
    kit_of_fleet_site,  # noqa: F401 - a fixture
    lab_command,
    states,
)

pytestmark = NEEDS_FLEET
Seen = list[tuple[float, str, set[str]]]


def wait_for(what: str, happens: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happens():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.5)


@contextmanager
def watching(kit: Kit, machine: str) -> Iterator[Seen]:
    """Look four times a second, from the inside: (seconds, states of the units, registrations)."""
    script = (
        f"while sleep 0.25; do date +%s.%N; {LISTS}; echo --; "
        "etcdctl ls --recursive /services 2>/dev/null || ETCDCTL_API=2 etcdctl ls --recursive /services; "
        "echo ==; done"
    )
    argv = [
        sys.executable,
        "-m",
        "coreos_kit",
        "--project",
        str(kit.workspace),
        "ssh",
        machine,
        "--",
        "bash",
        "-c",
        script,
    ]
    seen: Seen = []
    # A group of its own: what it has started holds the pipe open as well.
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, start_new_session=True
    )

    def read() -> None:
        block: list[str] = []
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                if line.strip() != "==":
                    block.append(line.rstrip())
                    continue
                cut = block.index("--")
                units = "\n".join(" ".join(line.split()) for line in block[1:cut])
                seen.append((float(block[0]), units, set(block[cut + 1 :])))
                block = []

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield seen
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        reader.join(30)


@dataclass(frozen=True)
class Span:
    """When an Apache was seen to have stopped, to be active again, and to be registered again."""

    instance: str
    stopped: float
    active: float
    registered: float
    was_registered_when_it_stopped: bool


def span_of(kit: Kit, seen: Seen, instance: str) -> Span:
    unit = f"apache@{instance}.service"
    key = f"/services/apache/{kit.address_of(kit.machine_of(unit))}"
    up = [(moment, f"{unit} active running" in units) for moment, units, _ in seen]
    stopped = next(moment for moment, is_up in up if not is_up)
    active = next(moment for moment, is_up in up if is_up and moment > stopped)
    keys = [(moment, key in registered) for moment, _, registered in seen if moment >= stopped]
    registered = next(moment for moment, is_there in keys if is_there)
    return Span(instance, stopped, active, registered, keys[0][1])


def test_five_units_are_deployed_and_every_link_holds(kit: Kit) -> None:
    verdict = kit("verify", "--json").json

    assert verdict["ok"] is True
    # What systemd has seen reaches fleet's lists a moment later.
    wait_for("fleet's own word", lambda: list(states(kit).values()) == ["active running"] * 5)


def test_deploying_again_changes_nothing(kit: Kit) -> None:
    connected = kit("ssh", "core-1", "--", "true")
    again = kit("deploy", "--yes", "--json")

    print(f"\ndeployed again in {again.seconds:.1f} s; one SSH connection takes {connected.seconds:.1f} s")
    assert again.json["changed"] is False
    assert again.json["changes"] == []


def test_a_changed_file_is_updated_where_fleetctl_keeps_the_old_one(kit: Kit) -> None:
    before = hashes(kit)["nginx_lb.service"]
    by_hand = (
        "fleetctl cat nginx_lb.service | sed 's/Description=.*/Description=changed/' > /tmp/nginx_lb.service;"
    )

    code, said = fleetctl(kit, f"{by_hand} fleetctl start --block-attempts=5 /tmp/nginx_lb.service")

    assert code == 0
    assert "differs from local unit file" in said
    assert hashes(kit)["nginx_lb.service"] == before
    kit.edit("unit_templates/load_balancer.service.j2", "[Service]", "[Service]\nEnvironment=CHANGED=1")
    changed = kit("deploy", "--yes", "--json", timeout_s=600).json
    assert [change["verb"] for change in changed["changes"]] == ["replace"]
    assert hashes(kit)["nginx_lb.service"] != before
    kit("verify")


def test_a_failed_unit_runs_again_where_fleetctl_does_nothing(kit: Kit) -> None:
    kit.machine(kit.machine_of("apache@8888.service"), "docker kill apache.8888")
    wait_for("the failure", lambda: states(kit)["apache@8888.service"].startswith("failed"))

    code, _ = fleetctl(kit, "fleetctl start --block-attempts=5 apache@8888.service")
    time.sleep(3)

    assert code == 0
    assert states(kit)["apache@8888.service"].startswith("failed")
    restarted = kit("deploy", "--yes", "--json", timeout_s=600).json
    assert {change["verb"] for change in restarted["changes"]} == {"restart"}
    assert states(kit)["apache@8888.service"] == "active running"


def test_a_running_apache_is_replaced_without_sigterm_or_orphan_and_registers_again(kit: Kit) -> None:
    kit.edit("unit_templates/service@.service.j2", "[Service]", "[Service]\nEnvironment=REPLACED=1")

    with watching(kit, "core-2") as seen:
        kit("deploy", "--yes", timeout_s=600)

    assert not [moment for moment, units, _ in seen if "stop-sigterm" in units]
    spans = [span_of(kit, seen, instance) for instance in ("7777", "8888")]
    print(*spans, sep="\n")
    for span in spans:
        assert not span.was_registered_when_it_stopped
        assert span.registered - span.stopped <= 25
        assert span.registered - span.active <= 5
    containers = [kit.machine(machine, "docker ps --format '{{.Names}}'").split() for machine in MACHINES]
    assert sorted(name for found in containers for name in found if name.startswith("apache")) == [
        "apache.7777",
        "apache.8888",
    ]
    kit("verify", "--wait", "20")


def test_what_no_machine_can_take_is_refused_at_once_where_fleetctl_waits_and_says_nothing(kit: Kit) -> None:
    unit = "[Service]\nExecStart=/bin/sleep 1000\n[X-Fleet]\nMachineMetadata=region=moon\n"
    write = f"printf %s {shlex.quote(unit)} > /tmp/moon.service"
    code, said = fleetctl(kit, f"{write}; fleetctl start --block-attempts=2 /tmp/moon.service")
    assert (code, "timed out waiting" in said) == (1, True)
    fleetctl(kit, "fleetctl destroy moon.service")
    before = hashes(kit)
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9991, 9992]")

    refused = kit("deploy", "--yes", code=3)

    assert "no machine can take apache@999" in refused.err
    assert "conflicts with" in refused.err
    assert refused.seconds < 15
    assert hashes(kit) == before


def test_an_unknown_key_is_refused_by_lint_where_fleetctl_takes_it(kit: Kit) -> None:
    unit = "[Service]\nExecStart=/bin/sleep 1000\n[X-Fleet]\nNoSuchOption=1\n"
    code, said = fleetctl(
        kit, f"printf %s {shlex.quote(unit)} > /tmp/bad.service; fleetctl submit /tmp/bad.service"
    )
    assert code == 0
    assert "unrecognized requirement" in said
    fleetctl(kit, "fleetctl destroy bad.service")
    kit.edit("unit_templates/load_balancer.service.j2", "[X-Fleet]", "[X-Fleet]\nNoSuchOption=1")

    refused = kit("deploy", "--yes", code=3)

    assert "NoSuchOption" in refused.err
    kit("render")
    assert "NoSuchOption" in kit("lint", code=1).out


def test_destroying_what_does_not_exist_is_said(kit: Kit) -> None:
    assert fleetctl(kit, "fleetctl destroy nosuch.service")[0] == 0

    refused = kit("destroy", "nosuch", "--yes", code=1)

    assert "no unit nosuch on" in refused.err


def test_stop_start_and_restart_do_what_they_say(kit: Kit) -> None:
    kit("stop", "apache@8888", timeout_s=120)
    stopped = states(kit)
    kit("start", "apache@8888", "apache-discovery@8888", timeout_s=120)
    kit("restart", "apache@7777", timeout_s=120)
    kit("start", "apache-discovery@7777", timeout_s=120)

    assert stopped["apache@8888.service"].split()[0] in ("inactive", "failed")
    assert set(states(kit).values()) == {"active running"}
    kit("verify", "--wait", "40")


def test_a_unit_of_that_name_that_is_not_the_projects_is_refused(kit: Kit) -> None:
    unit = "[Service]\nExecStart=/bin/sleep 1000\n"
    names = "apache@9999.service"
    fleetctl(kit, f"printf %s {shlex.quote(unit)} > /tmp/{names}; fleetctl start --no-block /tmp/{names}")
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [7777, 8888, 9999]")

    refused = kit("deploy", "--yes", code=3)

    assert "apache@9999.service" in refused.err
    fleetctl(kit, f"fleetctl destroy {names}")


@contextmanager
def fleetd_down(kit: Kit, *machines: str) -> Iterator[None]:
    """Kill fleetd without letting it hand its units over, for less than the 30 s that fleet waits."""
    kill = (
        "mkdir -p /run/systemd/system/fleet.service.d; "
        "printf '[Service]\\nRestart=no\\n' > /run/systemd/system/fleet.service.d/down.conf; "
        "systemctl daemon-reload; systemctl kill -s KILL fleet; systemctl stop fleet.socket"
    )
    for machine in machines:
        kit.machine(machine, kill, code=None)
    try:
        yield
    finally:
        for machine in machines:
            kit.machine(
                machine,
                "rm -r /run/systemd/system/fleet.service.d; systemctl daemon-reload; "
                "systemctl start fleet.socket fleet",
            )
        # A fleetd that was killed registers once its key has expired (30 s); it tries after 1, 2, 4, 8, 16 s.
        listed = "fleetctl list-machines --no-legend"
        wait_for(
            "fleet's return", lambda: all(len(lines(kit, listed, on)) == len(MACHINES) for on in MACHINES)
        )


def lines(kit: Kit, script: str, on: str) -> list[str]:
    code, out = fleetctl(kit, script, on)
    return out.splitlines() if code == 0 else []


def test_where_fleet_is_down_on_the_first_machine_the_next_is_asked(kit: Kit) -> None:
    with fleetd_down(kit, "core-1"):
        failed = fleetctl(kit, "fleetctl list-units", on="core-1")
        again = kit("deploy", "--yes", "--json").json

    assert failed[0] == 1
    assert again["changed"] is False


def test_where_fleet_is_down_everywhere_it_is_exit_4(kit: Kit) -> None:
    with fleetd_down(kit, *MACHINES):
        refused = kit("deploy", "--yes", code=4)

    assert "fleet answers on no machine of lab" in refused.err
    assert all(f"{machine}: " in refused.err for machine in MACHINES)


def test_a_killed_machine_is_said_and_fleet_moves_its_units(kit: Kit) -> None:
    machine = kit.machine_of("apache@8888.service")

    lab_command("kill", machine)
    try:
        broken = kit("verify", "--json", code=None).json  # at once: within half a minute fleet has moved them
        status = kit("status", "--json", code=4).json
        kit("verify", "--wait", "180", timeout_s=400)
        moved = kit.machine_of("apache@8888.service")
        again = kit("deploy", "--yes", "--json").json
    finally:
        lab_command("revive", machine)

    states_of = {found["name"]: found["state"] for found in status["machines"]}
    links = {
        f"{chain['unit']} {link['link']}": link["state"]
        for chain in broken["chains"]
        for link in chain["links"]
    }
    assert states_of[machine] == "unreachable"
    assert links["apache@8888.service unit"] != "ok"
    assert links["apache@8888.service request"] != "ok"
    assert links["apache@7777.service unit"] == "ok"
    assert moved != machine
    assert again["changed"] is False
    assert any("given it up" in note for note in again["notes"])


@pytest.fixture
def spare(kit: Kit) -> str:
    """A machine on which nothing of the project stands."""
    return next(entry["name"] for entry in kit("machines", "--json").json["machines"] if entry["units"] == 0)


def only(kit: Kit, kind: str) -> dict[str, str]:
    """Return the one ghost that verify finds."""
    found = kit("verify", "--json", code=1).json["ghosts"]
    assert [ghost["kind"] for ghost in found] == [kind], found
    ghost: dict[str, str] = found[0]
    return ghost


def assert_mended(kit: Kit, what: str) -> None:
    """Assert that --fix asks first, then does exactly this, and that all is well afterwards."""
    refused = kit("verify", "--fix", code=2)
    assert f"would {what}" in refused.err
    fixed = kit("verify", "--fix", "--yes", "--json").json
    assert [(one["what"].startswith(what), one["error"]) for one in fixed["mended"]] == [(True, "")]
    assert (fixed["ok"], fixed["ghosts"]) == (True, [])


def test_no_ghost_is_found_on_a_healthy_fleet_however_often_it_is_looked_at(kit: Kit) -> None:
    for _ in range(10):
        seen = kit("verify", "--json").json
        assert (seen["ok"], seen["ghosts"], seen["unseen"]) == (True, [], [])


def test_a_key_without_a_unit_is_found_and_deleted(kit: Kit, spare: str) -> None:
    address = kit.address_of(spare)
    key = f"/services/apache/{address}"
    kit.machine(spare, f"ETCDCTL_API=2 etcdctl set {key} {address}:7777")
    try:
        assert only(kit, "key-without-unit")["machine"] == spare
        assert_mended(kit, f"delete the key {key}")
    finally:
        kit.machine(spare, f"ETCDCTL_API=2 etcdctl rm {key}", code=None)


def test_a_container_without_a_unit_is_removed_only_if_it_carries_the_projects_label(
    kit: Kit, spare: str
) -> None:
    unit = "apache@7777.service"
    image = kit.machine(kit.machine_of(unit), "docker inspect --format '{{.Config.Image}}' apache.7777")
    image = image.strip()
    labels = f"--label coreos-kit.project=web --label coreos-kit.unit={unit}"
    kit.machine(spare, f"docker run --detach --name leftover {labels} {image} sleep 600")
    kit.machine(spare, f"docker run --detach --name somebody-elses {image} sleep 600")
    try:
        ghost = only(kit, "container-without-unit")

        assert (ghost["machine"], ghost["subject"]) == (spare, "leftover")
        assert_mended(kit, "remove the container leftover ")
        assert kit.machine(spare, "docker ps --format '{{.Names}}'").split() == ["somebody-elses"]
    finally:
        kit.machine(spare, "docker rm --force leftover somebody-elses 2>&1")


def test_an_edit_of_the_file_that_fleet_wrote_is_found_and_its_remedy_mends_it(kit: Kit) -> None:
    unit = "apache@7777.service"
    machine = kit.machine_of(unit)
    kit.machine(machine, f"sed -i 's/^Description=.*/Description=by hand/' /run/fleet/units/{unit}")

    ghost = only(kit, "unit-edited")

    assert (ghost["machine"], ghost["subject"], ghost["mend"]) == (machine, unit, "")
    assert "+Description=by hand" in ghost["seen"]
    assert ghost["remedy"] == f"coreos-kit destroy --yes {unit} && coreos-kit deploy"
    kit("destroy", "--yes", unit)
    kit("deploy", "--yes", timeout_s=600)
    assert kit("verify", "--json").json["ghosts"] == []


def test_units_that_are_not_configured_any_more_are_found_and_the_deploy_takes_them_away(kit: Kit) -> None:
    kit.edit("coreos-kit.toml", "instances = [7777, 8888]", "instances = [8888]")

    found = kit("verify", "--json", code=1).json["ghosts"]

    assert [(ghost["kind"], ghost["subject"]) for ghost in found] == [
        ("unit-not-configured", "apache@7777.service"),
        ("unit-not-configured", "apache-discovery@7777.service"),
    ]
    assert {ghost["remedy"] for ghost in found} == {"coreos-kit deploy"}
    kit("deploy", "--yes", timeout_s=600)
    assert kit("verify", "--json").json["ghosts"] == []
    assert len(states(kit)) == 3
